"""An OAuth 2.1 resource server: callers sign in with an authorization server, and send the access token it issued."""
