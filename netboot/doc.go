// Package netboot talks to a machine's ROM: everything the appliance says on
// the dedicated NIC before our agent speaks.
package netboot
