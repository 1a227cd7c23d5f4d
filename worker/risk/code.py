"""Signals in the actions of code: run code and programs, use the network, read secrets, delete.

A pattern includes the first characters of a call's arguments, so a call with other arguments is
a new match.
"""

from worker.risk.pattern import Pattern, any_of, pattern_signal, words

_CALL = r"\s{0,8}\(.{0,60}"
_WORD_OR_DOT = r"[\w$.]"
_SENSITIVE = (
    r"\w{0,60}(?:TOKEN|SECRET|PASSW|PRIVATE|API_?KEY|ACCESS_?KEY|CREDENTIAL|_AUTH)|npm_config_"
)
_ENVIRONMENT = "process.env Bun.env Deno.env"

pattern_signal(
    "code.eval",
    0.4,
    Pattern(
        "runs text as code",
        any_of(
            words("eval", _CALL, not_after=_WORD_OR_DOT),
            words("window.eval global.eval globalThis.eval self.eval vm.runIn", r".{0,60}"),
            words("vm.Script vm.compileFunction _compile", _CALL),
            # bundles get the global object by `return this`
            words(
                "Function",
                r"\s{0,8}\((?!\s{0,4}[\"'`]return this).{0,60}",
                not_after=_WORD_OR_DOT,
            ),
            r"\.constructor\s{0,4}\(\s{0,4}[\"'`].{0,60}",
            r"\(\s{0,4}0\s{0,4},\s{0,4}eval\s{0,4}\)",
            r"'(?:node:)?vm'|\"(?:node:)?vm\"",
            words("import", r"\s{0,4}\(\s{0,4}[\"'`]data:"),
            words("setTimeout setInterval", r"\s{0,4}\(\s{0,4}[\"'`]"),
        ),
    ),
    Pattern("runs WebAssembly", any_of(r"WebAssembly\.(?:instantiate|Module|compile)"), share=0.5),
    title="Code runs text as code: eval, new Function, vm, Module._compile",
    why="The code that runs is then not the code in the file.",
)

pattern_signal(
    "code.child-process",
    0.35,
    Pattern(
        "runs programs",
        any_of(
            words("child_process"),
            words("execSync execFileSync spawnSync execFile spawn fork", _CALL, not_after=r"[\w$]"),
            words("childProcess.exec cp.exec process.binding", _CALL),
            words("Bun.spawn Bun.$ Deno.Command Deno.run"),
            words("shelljs execa cross-spawn node-pty zx", r"[\"'`]", not_after=r"[^\"'`]"),
        ),
    ),
    title="Code runs other programs: child_process and its wrappers",
    why="A program can do more than JavaScript, and leaves no trace in the package.",
)

pattern_signal(
    "code.network",
    0.25,
    Pattern(
        "uses the network",
        any_of(
            words(
                "require from import",
                r"\s{0,8}\(?\s{0,4}[\"'`](?:node:)?(?:https?|http2|net|tls|dgram|dns|dns/promises|ws|"
                r"axios|node-fetch|got|undici|request|superagent|needle|socket\.io-client)[\"'`]",
            ),
            words("fetch", r"\s{0,8}\(", not_after=_WORD_OR_DOT),
            words(
                "window.fetch global.fetch globalThis.fetch self.fetch "
                "sendBeacon http.get http.request https.get https.request",
                r"\s{0,8}\(",
            ),
            r"new\s{1,8}(?:XMLHttpRequest|WebSocket|EventSource)\b",
            words("dns.lookup dns.resolve", r"\w{0,8}\s{0,4}\("),
            words("net.connect net.createConnection net.Socket"),
        ),
    ),
    title="Code uses the network",
    why="Stolen data leaves and payloads arrive over the network. Ordinary in a client library, so "
    "this signal does not block by itself.",
)

pattern_signal(
    "code.environment",
    0.3,
    Pattern(
        "reads the whole environment",
        any_of(
            words(_ENVIRONMENT, r"(?=\s{0,8}(?:[),;}\]]|$))"),
            r"\.\.\.\s{0,4}process\.env\b",
            words("Deno.env.toObject printenv"),
        ),
    ),
    Pattern(
        "reads a secret from the environment",
        any_of(words(_ENVIRONMENT, rf"(?:\.|\?\.|\[\s{{0,4}}[\"'`])(?:{_SENSITIVE})")),
    ),
    Pattern(
        "reads the environment",
        any_of(
            words(
                _ENVIRONMENT,
                rf"(?:\.|\?\.|\[\s{{0,4}})(?![\"'`]?(?:{_SENSITIVE}|toObject))[\"'`\w]{{0,60}}",
            )
        ),
        share=0.15,
    ),
    title="Code reads the whole environment, or a variable named like a secret; less for others",
    why="Build machines and clouds keep tokens in the environment.",
)

pattern_signal(
    "code.credentials",
    0.55,
    Pattern(
        "names a place of credentials",
        any_of(
            r"\.(?:npmrc|yarnrc|netrc|pypirc|git-credentials|vault-token)\b",
            r"\.(?:bash|zsh|node_repl)_history\b|\.electrum\b|\.docker[/\\]{1,2}config",
            r"\.(?:ssh|aws|gnupg|kube|azure)(?=[/\\\"'`])|\.config[/\\]{1,2}(?:solana|gh|op)\b",
            words("id_rsa id_dsa id_ecdsa id_ed25519 _authToken trufflehog wallet.dat"),
            words("application_default_credentials find-generic-password login.keychain"),
            words("gcloud Exodus", r"[/\\]"),
            "gh auth token|Local Extension Settings|Login Data|cookies\\.sqlite",
            r"/etc/(?:passwd|shadow)\b",
            words("169.254.169.254 169.254.170.2 metadata.google.internal"),
        ),
    ),
    title="Code names places of credentials: .npmrc, .ssh, cloud files, browsers, wallets",
    why="eslint-scope and the Shai-Hulud worm read .npmrc to publish more infected packages.",
)

pattern_signal(
    "code.key-material",
    0.1,
    Pattern(
        "handles a private key",
        any_of(
            words("secretKey secret_key privateKey private_key PRIVATE_KEY mnemonic MNEMONIC"),
            words("seedPhrase seed_phrase keypair keyPair Keypair"),
        ),
    ),
    title="Code handles private keys",
    why="Ordinary in a library for keys, severe together with a new host (together.exfiltration).",
)

pattern_signal(
    "code.hook",
    0.4,
    Pattern(
        "replaces a function that others call",
        any_of(
            r"XMLHttpRequest\.prototype\.\w{1,30}\s{0,4}=(?!=)",
            words(
                "window global globalThis self",
                r"(?:\.|\[[\"'])(?:fetch|XMLHttpRequest|WebSocket|eval)(?:[\"']\])?\s{0,4}=(?!=)",
            ),
            words("fetch", r"\s{0,4}=\s{0,4}(?:async|function)\b", not_after=_WORD_OR_DOT),
            words(
                "http.request http.get https.request https.get ethereum.request", r"\s{0,4}=(?!=)"
            ),
            words(
                "window.ethereum Module.prototype.require Module._load Module._resolveFilename "
                "Module._extensions"
            ),
        ),
    ),
    title="Code replaces functions that others call: fetch, XMLHttpRequest, require, wallets",
    why="The code injected into chalk and debug (2025) intercepted calls to wallets like this.",
)

pattern_signal(
    "code.download",
    0.5,
    Pattern(
        "lets a shell download or run something",
        any_of(
            words("curl wget", r"(?:\.exe)?\s{1,8}(?:-|https?:|[\"'$])"),
            words("certutil", r"(?:\.exe)?\s"),
            words("powershell PowerShell pwsh", r"(?:\.exe)?\s{1,4}-"),
            words("Invoke-WebRequest Invoke-Expression Invoke-RestMethod DownloadString"),
            words("bitsadmin mshta regsvr32 rundll32"),
            words("base64", r"\s{1,4}(?:-d|-D|--decode)\b"),
        ),
    ),
    title="A shell downloads something: curl, wget, certutil, PowerShell",
    why="The download is in no tarball and may change at any time.",
)

pattern_signal(
    "code.destructive",
    0.5,
    Pattern(
        "deletes or overwrites files outside the package",
        any_of(
            words(
                "rm",
                r"\s{1,4}-\w{0,4}[rf]\w{0,4}\s{1,4}[\"']?"
                r"(?:~|\*|/(?:[\"'\s*]|home|etc|usr|Users)|\$\{?HOME)",
            ),
            words("shred", r"\s{1,4}-"),
            words("dd", r"\s{1,4}if=/dev/"),
            words("del rmdir rd cipher", r"\s{1,4}/[fFsSqQwW]\b"),
            words(
                "rm rmSync rmdir rmdirSync",
                r"\s{0,4}\(\s{0,4}(?:[\"'`](?:~|/[\"'`])|os\.homedir|homedir\b|"
                r"process\.env\.(?:HOME|USERPROFILE))",
            ),
        ),
    ),
    title="Code deletes or overwrites files outside the package",
    why="The second Shai-Hulud worm wiped home folders if it found nothing to steal.",
)

pattern_signal(
    "code.persistence",
    0.5,
    Pattern(
        "installs itself permanently",
        any_of(
            words("crontab schtasks LaunchAgents LaunchDaemons authorized_keys"),
            r"CurrentVersion\\{1,4}Run\b|/etc/(?:cron|systemd)|systemctl\s{1,4}enable",
            r"\.(?:bashrc|zshrc|bash_profile|zprofile|config/systemd)\b",
        ),
    ),
    Pattern(
        "starts a background process",
        any_of(words("detached", r"\s{0,4}:\s{0,4}(?:true|!0)"), words("nohup", r"\s")),
        share=0.5,
    ),
    title="Code installs something permanent: cron, services, shell profiles",
    why="A library should end with the program that uses it.",
)

pattern_signal(
    "code.publishing",
    0.7,
    Pattern(
        "publishes, or queries a registry for its account",
        any_of(
            words("npm", r"\s{1,4}(?:publish|whoami|token|owner|adduser)\b"),
            r"/-/(?:whoami|npm/v1/(?:tokens|user))\b",
            r"text=maintainer:|actions/runners/registration-token",
        ),
    ),
    Pattern(
        "writes workflows or repositories",
        any_of(r"\.github/workflows|/user/repos\b|api\.github\.com\b"),
        share=0.5,
    ),
    title="Code publishes packages, or writes workflows or repositories",
    why="A worm spreads this way from one maintainer to the next.",
)
