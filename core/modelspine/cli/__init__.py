"""The ``spine`` command: a command line in, an exit code out.

    main(["list", "--json"])

What goes wrong is two lines on stderr: what is wrong, and what to do. With ``--json`` stdout gets the same as
``{"error": {"code", "kind", "message", "hint"}}``. No exception leaves ``main``; ``SPINE_DEBUG=1`` shows its
traceback as well. A reader that goes away (``spine list | head -1``) changes nothing about what a command
does or its exit code. An exception nobody foresaw exits 3: nothing has been said about the model or the input.

It does not know what any verb does; ``cli.verbs`` finds them.
"""

from __future__ import annotations

from modelspine.cli.run import main

__all__ = ["main"]
