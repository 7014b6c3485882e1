"""The delivery contract: at least once in, exactly one visible final answer out, in order inside a conversation.

    accept -> inbox (COMMIT) -> the platform is told it arrived
    claim with a lease -> open a message (COMMIT) -> make the answer -> outbox (COMMIT) -> send -> done (COMMIT)

Killed anywhere, another claim goes on from the last commit. What was committed is sent; where nobody knows whether a
send arrived, the opened message is edited again (which changes nothing), or the platform is asked for the message that
carries our key. `queue` holds the states, `worker` drives them, `writer` makes commits cheap.
"""
