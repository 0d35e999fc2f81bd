// Package dhcp6 talks to the PXE client of UEFI firmware over IPv6 (RFC 8415, RFC 5970).
//
// Firmware whose boot order comes to IPv6 waits some 70 s for an answer, at every boot; told
// of a file that is not there it is done in seconds (measured on OVMF). Firmware that has
// IPv6 alone is given the same boot program as by IPv4, which then goes on by IPv4.
//
// Only registered machines are answered: known by the link-local address they speak from,
// or by their DUID, both of which are made of the MAC. Nothing is kept: a machine's address
// follows from its MAC.
package dhcp6
