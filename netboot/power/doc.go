// Package power talks to what switches a machine on: its baseboard management
// controller by IPMI (RMCP+) or Redfish, its NIC by magic packet, somebody's own
// program by webhook, or a person by hand. All of them are one interface, Way.
//
// Controllers of hosts under test are not trusted: whatever they answer is
// bounded in time and size, is cleaned before it is shown, and never makes the
// appliance send credentials elsewhere. Passwords and secrets stand in no error
// and no log.
//
// Sources: IPMI 2.0 rev. 1.1 (§13 RMCP+, §28.3 Chassis Control, §28.12 boot
// options), DMTF DSP0266 (Redfish protocol) and DSP0268 (ComputerSystem),
// Standard Webhooks 1.0.0, AMD 20213 (magic packet).
package power
