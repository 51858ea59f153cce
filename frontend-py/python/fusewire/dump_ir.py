"""``dump-ir FILE``: the stages of every graph that a Python file computes, or of a graph or kernel given as text.

The Python file runs as if called itself; each graph that it computes is shown once, before it is computed.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from fusewire._fusewire import Array, engine


class Printer:
    """Writes dumps to standard output or to a file; several pictures go to several files."""

    def __init__(self, output: Path | None, format: str) -> None:
        self.output = output
        self.format = format
        self.count = 0

    def write(self, text: str, heading: str) -> None:
        """Write one dump."""
        self.count += 1
        if self.format == "text" and heading:
            text = f"; ==== graph {self.count}, {heading}\n{text}"
        if self.output is None:
            sys.stdout.write(text)
        elif self.format == "text":
            with self.output.open("a" if self.count > 1 else "w") as file:
                file.write(text)
        else:
            stem = self.output.stem + (f"-{self.count}" if self.count > 1 else "")
            self.output.with_stem(stem).write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 for mistakes in its arguments or files."""
    options = parser().parse_args(arguments)
    if options.list:
        sys.stdout.write(engine.dump_listing())
        return 0
    if options.file is None:
        parser().error("a file is needed; - is standard input")
    stage = f"after {options.after}" if options.after else "all" if options.all else options.stage or "summary"
    printer = Printer(options.output, options.format)
    try:
        if options.file.suffix == ".py":
            run(options.file, options.arguments, stage, printer)
        else:
            text = engine.dump_text(content(options.file), str(options.file), stage, options.format)
            printer.write(text, "")
    except BrokenPipeError:
        # Whoever reads has seen enough; nothing is left to flush when Python ends.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    except (OSError, DumpError) as error:
        print(f"dump-ir: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        if options.file.suffix == ".py":
            raise
        print(f"dump-ir: {error}", file=sys.stderr)
        return 2
    return 0


class DumpError(Exception):
    """A stage or format that does not exist, or a file that is no text."""


def run(file: Path, arguments: list[str], stage: str, printer: Printer) -> None:
    """Run a Python file, showing each graph that it computes."""
    shown: set[str] = set()

    def show(*arrays: Array) -> None:
        captured = engine.dump(arrays, "captured", "text")
        if captured in shown:
            return
        shown.add(captured)
        try:
            text = engine.dump(arrays, stage, printer.format)
        except ValueError as error:
            raise DumpError(str(error)) from None
        printer.write(text, where(file))

    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    engine.observe(show)
    try:
        runpy.run_path(str(file), run_name="__main__")
    finally:
        engine.observe(None)
    if not shown:
        message = f"{file} computes nothing"
        raise DumpError(message)


def where(file: Path) -> str:
    """Say which line of the file is running."""
    lines = [frame.lineno for frame in traceback.extract_stack() if Path(frame.filename) == file]
    return f"computed at {file}:{lines[-1]}" if lines else f"computed by {file}"


def content(path: Path) -> str:
    """Return the text of a file, or of standard input for ``-``. Raises DumpError for what is no text."""
    read = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
    try:
        return read.decode()
    except UnicodeDecodeError as error:
        message = f"{path}: {error}"
        raise DumpError(message) from None


def parser() -> argparse.ArgumentParser:
    """Return the command's options, which are those of the compiled ``dump-ir``."""
    result = argparse.ArgumentParser(prog="dump-ir", description=__doc__)
    choice = result.add_mutually_exclusive_group()
    choice.add_argument(
        "--stage", metavar="NAME", help="show one stage: captured, graph, regions, kernel, clif, asm ..."
    )
    choice.add_argument("--after", metavar="PASS", help="show what a pass left behind; NAME:2 is its second run")
    choice.add_argument("--all", action="store_true", help="show every stage")
    result.add_argument("--format", choices=["text", "dot", "svg", "html"], default="text")
    result.add_argument("--output", "-o", type=Path, metavar="PATH", help="write to a file")
    result.add_argument("--list", action="store_true", help="list the stages and passes")
    result.add_argument(
        "file", type=Path, nargs="?", help="a Python file, or a graph's or kernel's text (- reads standard input)"
    )
    result.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the Python file")
    return result


if __name__ == "__main__":
    sys.exit(main())
