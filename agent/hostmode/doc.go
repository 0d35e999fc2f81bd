// Package hostmode talks to the appliance from an installed system: it makes the
// host and its key known, gives a sign of life every half minute, and reboots the
// machine for vetting when it is told to, unless somebody is at work on it.
//
// Its calls are signed (agent/wire) and go to the one key it was installed with.
package hostmode
