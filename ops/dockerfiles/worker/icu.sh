#!/bin/sh
# icu.sh: leave of Debian's ICU data what does not depend on a language, and English: 31 MB become
# 13. Node asks it for collation, Unicode's forms, encodings and domain names, which stay as they
# were; dates, amounts and names of places in other languages go (ICU calls this its locale filter).
# The library is made anew by ICU's own tools; tests/e2e/test_icu.py compares both.
set -eu
library=$(echo /usr/lib/*-linux-gnu*/libicudata.so.[0-9][0-9])
version=${library##*.}
data=icudt${version}l.dat # l: little-endian, as Debian's 64-bit machines are
set -x
cd "$(mktemp -d)"
mkdir full new
objcopy -O binary --only-section=.rodata "$library" "full/$data"

# Locales by their names, such as de.res or curr/de_AT.res. `pool`, `root` and others are longer.
# brkitr stays as it is: a text is divided by its script, and Japanese by what ja.res says.
icupkg -l "full/$data" | grep -v '^brkitr/' > items
grep -E '^([a-z]+/)?[a-z]{2,3}(_[A-Za-z0-9_]*)?\.res$' items |
    grep -vE '(^|/)en(_US(_POSIX)?)?\.res$' > removed.txt
# Each folder's list of its locales, so that none is said to be there that is not.
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
