"""Which files are code by their names: loaders import, compile and start what is called so, whatever is in it."""

from typing import Final

# what Python imports or runs; what a loader of kernels compiles; what a shell, a browser or another runtime starts
_SUFFIXES: Final = (
    *(".py", ".pyc", ".pyo", ".pyw", ".pyi", ".pyx", ".pxd", ".pyd", ".pyz", ".ipynb"),
    *(".so", ".dylib", ".dll", ".exe", ".wasm", ".ptx", ".cubin", ".o", ".a", ".node"),
    *(".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".hip", ".metal", ".rs", ".go", ".java", ".jl", ".r"),
    *(".sh", ".bash", ".zsh", ".fish", ".csh", ".bat", ".cmd", ".ps1", ".psm1", ".vbs", ".wsf", ".hta", ".scr"),
    *(".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".lua", ".pl", ".pm", ".php", ".rb", ".tcl", ".awk", ".mk"),
    *(".html", ".htm", ".xhtml", ".mht", ".mhtml"),  # as SVG: browsers run what is in them
    *(".pth", ".egg-link"),  # Python runs lines of these among its packages; those of torch are pickles anyway
    *(".desktop", ".service", ".lnk", ".jar", ".class"),
)
_NAMES: Final = frozenset({"makefile", "gnumakefile", "dockerfile", "containerfile", "cmakelists.txt"})


def is_code(path: str) -> bool:
    """Whether a file is called as code is. Small and large letters are one: some file systems know no other."""
    name = path.rpartition("/")[2].casefold().rstrip(". ")
    return name in _NAMES or name.endswith(_SUFFIXES)
