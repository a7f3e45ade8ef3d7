"""The gateway: works and contents for a browser or any HTTP client on this machine, behind a token. An edge like the control socket."""
