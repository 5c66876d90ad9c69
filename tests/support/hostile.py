"""Hostile strings, which move the cursor, colour, rename, hide or click something if they are printed unescaped."""

from __future__ import annotations

ESC, BEL, CSI, OSC, ST = "\x1b", "\x07", "\x9b", "\x9d", "\x9c"

_TERMINAL = [
    f"{ESC}[2J{ESC}[H",
    f"{ESC}[5;31mPWNED{ESC}[0m",
    f"{ESC}]52;c;UFdORUQ={BEL}",
    f"{ESC}]52;c;UFdORUQ={ESC}\\",
    f"{ESC}]0;PWNED{BEL}",
    f"{ESC}]8;;http://evil.example{ESC}\\click{ESC}]8;;{ESC}\\",
    f"{ESC}[?1049l",
    f"{ESC}[?25h",
    f"{ESC}c",
    f"{ESC}[6n",
    f"{ESC}P+q544e{ESC}\\",
    f"{ESC}_Gf=24;AAAA{ESC}\\",
    f"{ESC}[200~PWNED{ESC}[201~",
    f"{CSI}5;31mPWNED",
    f"{OSC}52;c;UFdORUQ={ST}",
    f"\x90q{ST}",
    f"{ESC}[1;1H{ESC}[K",
    f"{ESC}(0lqqk{ESC}(B",
    f"{ESC}[9999999999b",
    f"{ESC}",
]
_CONTROLS = [f"a{chr(code)}b" for code in (*range(32), 127, 0x85, 0x8D, 0x8E, 0x8F, 0x98, 0x9A, 0x9F)]
_UNSEEN = [
    f"a{chr(code)}b"
    for code in (
        0x200B,
        0x200C, 0x200D, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069,
        0x2028, 0x2029, 0xFEFF, 0x00AD, 0x061C, 0x180E, 0xE0001, 0xE0041, 0xE007F, 0xFFF9, 0xFFFB, 0x115F, 0x3164,
        0xD800,        0xDFFF, 0xE000, 0x10FFFF, 0xFE0F,
    )
]  # fmt: skip
_MARKUP = [
    "[@click=app.leave]click[/]",
    "[@click=app.leave()]click me[/@click=app.leave()]",
    "[@click=app.action_leave]x",
    "[@click='app.bell']x[/]",
    "[link=http://evil.example]x[/link]",
    "[/x]",
    "[/]",
    "[",
    "]",
    "[[",
    "\\[",
    "[b",
    "[red]red[/red]",
    "[on $error]x",
    "[$nope]x",
    "[bold][/italic]",
    "[not a tag",
    "{}",
    "{0}",
    "%s%n",
    "$primary",
    ":skull:",
]
_SHAPES = [
    "e" + "\u0301" * 500,
    "漢字" * 200,
    "👩‍👩‍👧‍👦" * 20,
    "ﷺ" * 20,
    "x" * 20_000,
    "\t" * 50,
    " " * 500,
    "a\r\nb\nc\rd",
    "",
    "../../etc/passwd",
    "; rm -rf /",
    "$(reboot)",
    "\ud83d",
    "𒐫" * 30,
    "▌◆●",
]

STRINGS = [*_TERMINAL, *_CONTROLS, *_UNSEEN, *_MARKUP, *_SHAPES]
assert len(STRINGS) >= 120
