// Package install puts the appliance on a machine with systemd: its account, its
// unit, its configuration. What is there already and belongs to the operator is
// kept; doing it again changes nothing.
package install
