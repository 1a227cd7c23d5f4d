// Print Node's results that depend on ICU's data, as one JSON object, for test_icu.py.
const { createHash } = require("node:crypto");
const digest = (values) => createHash("sha256").update(values.join("\0")).digest("hex");
const codePoints = [...Array(0x110000).keys()].filter((n) => n < 0xd800 || n > 0xdfff);
const characters = codePoints.map((n) => String.fromCodePoint(n));

const words = "Zebra apple Äpfel äpfel ángel ñandú İstanbul istanbul ışık straße strasse ﬁ fi a-b a_b ab " +
  "A1 a10 a2 éclair eclair Ωmega ωmega яблоко Яблоко 漢字 汉字 かな カナ ひらがな 한국어 שלום مرحبا ไทย 😀 👩‍👩‍👧 e\u0301 \u00e9";
const sorted = (locale, options) => words.split(" ").sort(new Intl.Collator(locale, options).compare);

const bytes = Uint8Array.from({ length: 65536 * 2 }, (_, n) => (n % 2 ? (n >> 1) & 255 : n >> 9));
const encodings = ["utf-8", "utf-16le", "utf-16be", "latin1", "ibm866", "iso-8859-2", "iso-8859-8-i", "koi8-r",
  "macintosh", "windows-874", "windows-1251", "gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr"];
const decoded = (label) => {
  try {
    return digest([new TextDecoder(label).decode(bytes)]);
  } catch (error) {
    return error.name;
  }
};

const texts = ["Hello, world. It's 3.14!", "ภาษาไทยไม่มีช่องว่าง", "日本語の文章を分割する。", "ខ្ញុំស្រឡាញ់", "👩‍👩‍👧🇩🇪e\u0301"];
const segments = (granularity) =>
  texts.map((text) => [...new Intl.Segmenter("en", { granularity }).segment(text)].map((s) => s.segment));

const hosts = ["münchen.de", "MÜNCHEN.de", "日本語.jp", "straße.de", "☃.net", "xn--mnchen-3ya.de", "a\u00adb.de", "١٢٣.test"];
const host = (name) => {
  try {
    return new URL(`http://${name}/`).host;
  } catch (error) {
    return error.code;
  }
};

const classes = ["L", "Lu", "N", "P", "S", "Z", "C", "Emoji", "Script=Greek", "Script=Han", "ID_Start", "Alphabetic"];
const moments = [0, 951782400000, 1764028800000].map((n) => new Date(n));
const zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"];

process.stdout.write(JSON.stringify({
  icu: process.versions.icu,
  forms: Object.fromEntries(["NFC", "NFD", "NFKC", "NFKD"].map((f) => [f, digest(characters.map((s) => s.normalize(f)))])),
  upper: digest(characters.map((s) => s.toUpperCase())),
  lower: digest(characters.map((s) => s.toLowerCase())),
  turkish: digest(characters.map((s) => s.toLocaleLowerCase("tr"))),
  classes: classes.map((c) => new RegExp(`^\\p{${c}}$`, "u")).map((class_) => digest([characters.filter((s) => class_.test(s)).join("")])),
  folded: digest(characters.map((s) => String(/[\u017f\u212a\w]/iu.test(s)))),
  sorted: [sorted("en"), sorted("en", { numeric: true }), sorted("en", { sensitivity: "base" }), words.split(" ").sort((a, b) => a.localeCompare(b))],
  order: digest(characters.filter((_, n) => n % 7 === 0).sort(new Intl.Collator("en").compare)),
  decoded: Object.fromEntries(encodings.map((label) => [label, decoded(label)])),
  segments: ["grapheme", "word", "sentence"].map(segments),
  hosts: hosts.map(host),
  moments: zones.map((timeZone) => moments.map((m) => m.toLocaleString("en-US", { timeZone, dateStyle: "full", timeStyle: "long" }))),
  numbers: [1234567.891, -0.5, 1e21, 5].map((n) => [n.toLocaleString(), n.toLocaleString("en", { style: "currency", currency: "EUR" }), n.toLocaleString("en", { style: "unit", unit: "megabyte" })]),
  plurals: [0, 1, 2, 11, 21, 102].map((n) => new Intl.PluralRules("en", { type: "ordinal" }).select(n)),
  listed: new Intl.ListFormat("en").format(["a", "b", "c"]),
  names: new Intl.DisplayNames("en", { type: "region" }).of("DE"),
  locale: Intl.DateTimeFormat().resolvedOptions().locale,
}));
