"""Steps of a client: each is tried, says how it ended in one line, and does not stop the next."""

import sys

failed = []


def flat(text):
    return " ".join(str(text).split())


def step(name, run, explain, needs=()):
    """explain(error) returns SQLSTATE, message and statement of what a step ended with."""
    if any(n in failed for n in needs):
        failed.append(name)
        print(f"not tried\t{name}", flush=True)
        return
    try:
        run()
    except Exception as error:
        code, message, statement = explain(error)
        failed.append(name)
        print(f"fail\t{name}\t{code}\t{flat(message)}\t{flat(statement)}", flush=True)
    else:
        print(f"ok\t{name}", flush=True)


def end():
    print("end")
    sys.exit(1 if failed else 0)
