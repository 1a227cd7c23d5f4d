"""Tests of worker.risk with upgrades like those of honest maintainers: none is blocked."""

from datetime import timedelta

import pytest

from tests.support.upgrades import NOW, added_file, binary_file, changed_file, removed_file, upgrade
from worker.change import Change
from worker.risk import assess

MAX_LOW_RISK = 0.3
THRESHOLD = 0.75

PATCH = upgrade(
    changed_file(
        "CHANGELOG.md", "## 1.2.1", "- `eval()` of templates: see https://docs.test/changes"
    ),
    changed_file("README.md", "```js", "const r = await fetch('https://api.test/v1')", "```"),
    changed_file(
        "index.js",
        "  // see https://tc39.test/ecma262/#sec-string.prototype.padstart",
        "  if (typeof length !== 'number' || length < 0) throw new RangeError('length')",
        "  const found = /^(\\s*)(.*)$/.exec(text);",
        removed_lines=("  if (length < 0) throw new RangeError('length')",),
    ),
    added_file("lib/repeat.js", "'use strict'", "module.exports = (c, n) => c.repeat(n)"),
    added_file(
        "test/repeat.test.js",
        "const { spawnSync } = require('node:child_process')",
        "const http = require('node:http')",
        "assert.equal(spawnSync(process.execPath, ['cli.js']).status, 0)",
        "const server = http.createServer(); process.env.TOKEN = 'x'",
    ),
    changed_file("index.d.ts", "export function leftPad(text: string): Promise<Response>"),
    old_manifest={"devDependencies": {"tape": "^4"}, "scripts": {"test": "tape test"}},
    new_manifest={
        "devDependencies": {"tape": "^5", "c8": "^9"},
        "scripts": {"test": "c8 tape test"},
    },
    new_metadata={"published": NOW - timedelta(hours=3)},
)

# output of a build tool: long lines before and after, with other names
REBUILT = upgrade(
    changed_file(
        "dist/left-pad.min.js",
        "!function(e,t){" + "e[t]=e[t]||t;" * 900 + "}(Function('return this')())",
        removed_lines=("!function(t,e){" + "t[e]=t[e]||e;" * 900 + "}(Function('return this')())",),
    ),
    changed_file("dist/left-pad.min.js.map", '{"version":3,"mappings":"' + "AAAA" * 9000 + '"}'),
)

MOVED = upgrade(
    changed_file(
        "lib/run.js",
        "    const child = spawn(command, args, { env: process.env })",
        '    const { createServer } = require("node:http")',
        removed_lines=(
            "  const child = spawn(command, args, { env: process.env })",
            "const { createServer } = require('http')",
        ),
    ),
)

BUNDLED = (
    "import { execSync } from 'node:child_process'; import https from 'node:https';",
    "const all = { ...process.env }; const code = new Function(source);",
    "export const packed = '" + "x;" * 2000 + "';",
)
# a build tool names files by their content, so each name is new
HASHED = upgrade(
    removed_file("dist/chunks/dep-BcXSligG.js", *BUNDLED),
    removed_file("dist/chunks/dep-Bn1HdZAl.js", "export const a = 1"),
    added_file("dist/chunks/dep-CzJTQ5q7.js", "export const a = 2"),
    added_file("dist/chunks/dep-DDAZqU2f.js", *BUNDLED, "export const b = 2"),
)

# another folder, as after a change of the build
OTHER_FOLDER = upgrade(
    removed_file("lib/run.js", *BUNDLED), added_file("dist/cjs/run.js", *BUNDLED)
)

DEBUG_FLAG = upgrade(
    changed_file(
        "index.js", "if (process.env.NODE_ENV !== 'test') warn(process.env.LEFT_PAD_DEBUG)"
    )
)

TO_TRUSTED_PUBLISHING = upgrade(new_metadata={"publisher": "build service", "provenance": True})

PICTURES = upgrade(
    binary_file("assets/logo.png"),
    binary_file("assets/font.woff2"),
    binary_file("test/fixtures/sample.zip", "archive"),
)

LOW_RISK = {
    "patch": PATCH,
    "rebuilt": REBUILT,
    "moved": MOVED,
    "names by content": HASHED,
    "another folder": OTHER_FOLDER,
    "debug flag": DEBUG_FLAG,
    "trusted publishing": TO_TRUSTED_PUBLISHING,
    "pictures": PICTURES,
}

HTTP_CLIENT = upgrade(
    added_file(
        "lib/adapters/fetch.js",
        "import http from 'node:http';",
        "const proxy = process.env.HTTPS_PROXY || process.env.https_proxy;",
        "  const response = await fetch(url, { headers: { Authorization: auth } });",
        "  return Buffer.from(await response.text(), 'base64');",
    ),
    changed_file("index.js", "const { request } = require('undici')"),
    new_metadata={"published": NOW - timedelta(days=2)},
)

MINOR_WITH_DEPENDENCY = upgrade(
    new_manifest={"dependencies": {"wcwidth": "^1.0.1"}, "peerDependencies": {"react": ">=18"}},
    new_metadata={"published": NOW - timedelta(days=2)},
)

COMMAND = upgrade(
    added_file(
        "bin/left-pad.js",
        "#!/usr/bin/env node",
        "const { execFileSync } = require('child_process');",
        "process.stdout.write(execFileSync('git', ['log', '-1']));",
        executable=True,
    ),
    new_manifest={"bin": {"left-pad": "bin/left-pad.js"}},
)

MEDIUM_RISK = {
    "http client": HTTP_CLIENT,
    "minor with a dependency": MINOR_WITH_DEPENDENCY,
    "new command": COMMAND,
}


@pytest.mark.parametrize("change", LOW_RISK.values(), ids=LOW_RISK)
def test_an_ordinary_upgrade_has_a_low_risk(change: Change):
    assessment = assess(change, NOW)
    assert assessment.risk < MAX_LOW_RISK, assessment


@pytest.mark.parametrize("change", MEDIUM_RISK.values(), ids=MEDIUM_RISK)
def test_an_unusual_upgrade_is_noticed_but_not_blocked(change: Change):
    assessment = assess(change, NOW)
    assert MAX_LOW_RISK / 2 < assessment.risk < THRESHOLD, assessment
