// Package tftp talks to boot ROMs that fetch their loader by TFTP (RFC 1350,
// options of RFC 2347, 2348, 2349 and 7440). It sends a fixed set of files from
// memory, only to addresses that hold a lease of ours and may boot.
//
// Plain transfers go through this package's own sender, which knows windows and
// recovers from a lost packet in 0.2 s; text mode (netascii), which no ROM uses
// but people with a tftp client do, goes through pin/tftp on the same port.
package tftp
