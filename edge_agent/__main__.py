"""`python -m edge_agent` is `edge-agent`."""

from edge_agent.cli.main import program

if __name__ == "__main__":
    program()
