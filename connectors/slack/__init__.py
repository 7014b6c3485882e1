"""Slack: Socket Mode or HTTP Events in, native streaming or edits out (docs.slack.dev).

gate      a raw HTTP request, checked before anything looks into it
receive   a payload to a `Received`, committed before Slack is told that it arrived
events    a stored payload to an `Event`
render    an `Outgoing` to messages and blocks
sending   messages put up, previewed, finished
calls     the Web API: errors told apart, paces kept
"""
