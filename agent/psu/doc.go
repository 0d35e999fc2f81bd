// Package psu looks at what feeds a machine: power supplies, what they take in and give
// out, the rails of the board, and how all that bears load. It finds what can be observed,
// lets all CPUs work, in pulses as well, and notes what is seen meanwhile.
//
// It knows supplies by what the BMC tells of them (sensors, FRU information, DCMI), by
// PMBus chips and power meters that the kernel drives, by the kernel's class of power
// supplies, and by SMBIOS. What passes is for the stage to say.
package psu
