// Package hold talks to the operator of a held host: an SSH server inside the
// agent that opens a shell to whoever holds the key of this run, and to nobody
// else, for as long as the hold lasts.
//
// It keeps no key of its own: the host key is made anew for each server and
// lives in memory; the appliance gets its public half over the pinned call
// `hold`, so that the operator's client knows it without trust on first use.
// There are no passwords, no forwarding of any kind and no subsystems (RFC 4254
// §6: session channels with shell, exec, pty-req, window-change, env and signal).
package hold
