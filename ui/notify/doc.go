// Package notify talks to people who are elsewhere: it tells ntfy, Discord, mail,
// programs of the operator (Standard Webhooks) and, by way of shoutrrr, two dozen
// other services what happened.
//
// It reads the ledger from a cursor of its own. The cursor is on stable storage
// before anything is sent, so that no notice is ever sent twice by accident: one
// that was under way when the appliance lost its power is lost, and its outcome
// is missing. Every delivery has its own goroutine and ten seconds; a target that
// is slow delays nobody, not even its own next message.
//
// Where messages go comes from the configuration alone: nothing that a host, an
// agent or the console says is ever used as an address, and redirects are not
// followed. URLs, tokens and passwords stand in no outcome and no log.
package notify
