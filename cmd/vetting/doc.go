// Command vetting is the appliance: it ties the rooms together and does nothing
// else. Everything a stranger may set is read here, and only here.
package main
