// Package network brings the machine under test onto the test network: the NIC it
// booted from gets an address by DHCP and keeps it; the other NICs are only
// switched on, so that their link and speed can be read.
package network
