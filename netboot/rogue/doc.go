// Package rogue listens for other DHCP servers on the test network: before we
// serve and again from time to time, by asking as a machine would, and all the
// time, from what passes by. Two servers on one wire break machines on both; so
// we go first.
package rogue
