#!/bin/sh
# icu.sh: reduce Debian's ICU data from 31 to 13 MB. Language-independent data and English stay, so
# collation, Unicode normalization, encodings and domain names work as before. Dates, amounts and
# place names of other languages go (ICU calls this a locale filter). ICU's own tools rebuild the
# library; tests/e2e/test_icu.py compares Node on both.
set -eu
library=$(echo /usr/lib/*-linux-gnu*/libicudata.so.[0-9][0-9])
version=${library##*.}
data=icudt${version}l.dat # l: little-endian, as on amd64 and arm64
set -x
cd "$(mktemp -d)"
mkdir full new
objcopy -O binary --only-section=.rodata "$library" "full/$data"

# Remove locales by name, such as de.res or curr/de_AT.res; `pool`, `root` and others are longer. Keep
# all of brkitr: it divides texts by script, and Japanese by the rules in ja.res.
icupkg -l "full/$data" | grep -v '^brkitr/' > items
grep -E '^([a-z]+/)?[a-z]{2,3}(_[A-Za-z0-9_]*)?\.res$' items |
    grep -vE '(^|/)en(_US(_POSIX)?)?\.res$' > removed.txt
# Rewrite each folder's list of locales, so that it names only those that exist.
set +x
grep -E '(^|/)res_index\.res$' items | tee added.txt | while read -r index; do
    folder=${index%res_index.res}
    mkdir -p "new/$folder"
    {
        echo 'res_index:table(nofallback) { InstalledLocales {'
        for locale in en en_US en_US_POSIX; do
            ! grep -qFx "$folder$locale.res" items || echo "$locale {\"\"}"
        done
        echo '} }'
    } > res_index.txt
    genrb --quiet --destdir "new/$folder" res_index.txt
done
set -x
icupkg --remove removed.txt --add added.txt --sourcedir new "full/$data" "$data"
genccode --quiet --match-arch "$library" --object --entrypoint "icudt$version" "$data"
ld -shared -soname "libicudata.so.$version" --hash-style=gnu -z noexecstack \
    -o "$(readlink -f "$library")" ./*.o
rm -r "$PWD"
node --eval 'process.exit("a".localeCompare("b", "en") === -1 ? 0 : 1)'
