"""Signals in what code does: run other code and programs, talk, read what is private, destroy.

A call is told by its own words and the first characters of what it is given, so that one that is
given something else is new.
"""

from worker.risk.pattern import Pattern, any_of, patterns, words

_CALL = r"\s{0,8}\(.{0,60}"
_NO_METHOD = r"[\w$.]"
_TELLING = (
    r"\w{0,60}(?:TOKEN|SECRET|PASSW|PRIVATE|API_?KEY|ACCESS_?KEY|CREDENTIAL|_AUTH)|npm_config_"
)
_ENVIRONMENT = "process.env Bun.env Deno.env"

patterns(
    "code.eval",
    0.4,
    Pattern(
        "runs text as code",
        any_of(
            words("eval", _CALL, not_after=_NO_METHOD),
            words("window.eval global.eval globalThis.eval self.eval vm.runIn", r".{0,60}"),
            words("vm.Script vm.compileFunction _compile", _CALL),
            # `return this` is how bundles find the global object
            words(
                "Function", r"\s{0,8}\((?!\s{0,4}[\"'`]return this).{0,60}", not_after=_NO_METHOD
            ),
            r"\.constructor\s{0,4}\(\s{0,4}[\"'`].{0,60}",
            r"\(\s{0,4}0\s{0,4},\s{0,4}eval\s{0,4}\)",
            r"'(?:node:)?vm'|\"(?:node:)?vm\"",
            words("import", r"\s{0,4}\(\s{0,4}[\"'`]data:"),
            words("setTimeout setInterval", r"\s{0,4}\(\s{0,4}[\"'`]"),
        ),
    ),
    Pattern("runs WebAssembly", any_of(r"WebAssembly\.(?:instantiate|Module|compile)"), share=0.5),
    title="Text is run as code: eval, new Function, vm, Module._compile",
    why="What runs is then not what stands in the file.",
)

patterns(
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
    title="Other programs are run: child_process and what wraps it",
    why="A program can do what JavaScript cannot, and leaves no trace in the package.",
)

patterns(
    "code.network",
    0.25,
    Pattern(
        "opens the network",
        any_of(
            words(
                "require from import",
                r"\s{0,8}\(?\s{0,4}[\"'`](?:node:)?(?:https?|http2|net|tls|dgram|dns|dns/promises|ws|"
                r"axios|node-fetch|got|undici|request|superagent|needle|socket\.io-client)[\"'`]",
            ),
            words("fetch", r"\s{0,8}\(", not_after=_NO_METHOD),
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
    title="The network is used",
    why="Whatever is stolen leaves by it, and whatever is to be run comes by it. Ordinary in a "
    "client library: it does not block by itself.",
)

patterns(
    "code.environment",
    0.3,
    Pattern(
        "reads all of the environment",
        any_of(
            words(_ENVIRONMENT, r"(?=\s{0,8}(?:[),;}\]]|$))"),
            r"\.\.\.\s{0,4}process\.env\b",
            words("Deno.env.toObject printenv"),
        ),
    ),
    Pattern(
        "reads a secret of the environment",
        any_of(words(_ENVIRONMENT, rf"(?:\.|\?\.|\[\s{{0,4}}[\"'`])(?:{_TELLING})")),
    ),
    Pattern(
        "reads the environment",
        any_of(
            words(
                _ENVIRONMENT,
                rf"(?:\.|\?\.|\[\s{{0,4}})(?![\"'`]?(?:{_TELLING}|toObject))[\"'`\w]{{0,60}}",
            )
        ),
        share=0.15,
    ),
    title="The environment is read: all of it, or what is named like a secret; less otherwise",
    why="Tokens of build machines and clouds stand there.",
)

patterns(
    "code.credentials",
    0.55,
    Pattern(
        "names where credentials lie",
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
    title="Places where credentials lie: .npmrc, .ssh, clouds' files, browsers, wallets",
    why="eslint-scope read .npmrc to publish more of itself; so did the Shai-Hulud worm.",
)

patterns(
    "code.key-material",
    0.1,
    Pattern(
        "handles a private key",
        any_of(
            words("secretKey secret_key privateKey private_key PRIVATE_KEY mnemonic MNEMONIC"),
            words("seedPhrase seed_phrase keypair keyPair Keypair"),
        ),
    ),
    title="Private keys are handled",
    why="Ordinary where keys are the subject; grave beside a new host (together.exfiltration).",
)

patterns(
    "code.hook",
    0.4,
    Pattern(
        "replaces what others call",
        any_of(
            r"XMLHttpRequest\.prototype\.\w{1,30}\s{0,4}=(?!=)",
            words(
                "window global globalThis self",
                r"(?:\.|\[[\"'])(?:fetch|XMLHttpRequest|WebSocket|eval)(?:[\"']\])?\s{0,4}=(?!=)",
            ),
            words("fetch", r"\s{0,4}=\s{0,4}(?:async|function)\b", not_after=_NO_METHOD),
            words(
                "http.request http.get https.request https.get ethereum.request", r"\s{0,4}=(?!=)"
            ),
            words(
                "window.ethereum Module.prototype.require Module._load Module._resolveFilename "
                "Module._extensions"
            ),
        ),
    ),
    title="Functions that others call are replaced: fetch, XMLHttpRequest, require; wallets",
    why="What was put into chalk and debug in 2025 stood between pages and wallets like that.",
)

patterns(
    "code.download",
    0.5,
    Pattern(
        "has a shell fetch or run something",
        any_of(
            words("curl wget", r"(?:\.exe)?\s{1,8}(?:-|https?:|[\"'$])"),
            words("certutil", r"(?:\.exe)?\s"),
            words("powershell PowerShell pwsh", r"(?:\.exe)?\s{1,4}-"),
            words("Invoke-WebRequest Invoke-Expression Invoke-RestMethod DownloadString"),
            words("bitsadmin mshta regsvr32 rundll32"),
            words("base64", r"\s{1,4}(?:-d|-D|--decode)\b"),
        ),
    ),
    title="A shell fetches something: curl, wget, certutil, PowerShell",
    why="What it fetches is in no tarball, and may be another tomorrow.",
)

patterns(
    "code.destructive",
    0.5,
    Pattern(
        "deletes or overwrites beyond the package",
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
    title="Files beyond the package are deleted or overwritten",
    why="The second Shai-Hulud wiped home folders where it found nothing to steal.",
)

patterns(
    "code.persistence",
    0.5,
    Pattern(
        "makes itself stay",
        any_of(
            words("crontab schtasks LaunchAgents LaunchDaemons authorized_keys"),
            r"CurrentVersion\\{1,4}Run\b|/etc/(?:cron|systemd)|systemctl\s{1,4}enable",
            r"\.(?:bashrc|zshrc|bash_profile|zprofile|config/systemd)\b",
        ),
    ),
    Pattern(
        "leaves a process behind",
        any_of(words("detached", r"\s{0,4}:\s{0,4}(?:true|!0)"), words("nohup", r"\s")),
        share=0.5,
    ),
    title="Something is to stay when the program has ended: cron, services, shell profiles",
    why="A library ends with the program that uses it.",
)

patterns(
    "code.publishing",
    0.7,
    Pattern(
        "publishes, or asks a registry who it is",
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
    title="Packages are published, or workflows and repositories are written",
    why="That is how a worm goes from one maintainer to the next.",
)
