// Package message reads and writes DHCP messages (RFC 2131, RFC 2132) the way
// real boot ROMs need it. It reads what they send wrong (no END option, a last
// option cut short, option overload), and writes options in the order they
// expect. It allocates nothing per message but for options that come in pieces.
//
// The names of message types and architectures are those of insomniacslk/dhcp,
// which is also the second opinion in this package's tests.
package message
