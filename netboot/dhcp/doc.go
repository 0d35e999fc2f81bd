// Package dhcp talks to the DHCP clients of machines under test: boot ROMs, iPXE,
// our agent, installed systems. It is an authoritative server for one network
// card. A machine that is not registered gets no answer and is only noted.
//
// Server.Answer is the whole of it as a function from packet to reply; Run puts
// sockets, batches and the disk around it. A lease is acknowledged only after
// Leases.SaveLeases has returned.
package dhcp
