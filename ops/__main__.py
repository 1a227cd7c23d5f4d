"""`python -m ops`, which is what ./inv runs: Invoke, with this project's exit statuses."""

from ops.program import program

if __name__ == "__main__":
    program.run()
