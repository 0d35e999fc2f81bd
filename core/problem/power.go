package problem

import "vetting/core"

// Codes of serial consoles (serial over LAN).
const (
	SerialTaken       = "power/serial-taken"
	SerialUnreachable = "power/serial-no-ipmi"
	SerialEnded       = "power/serial-ended"
)

// powers lists how an attempt to switch a machine ends (netboot/power).
func powers() []Entry {
	return []Entry{
		{
			"power/wrong-password", "User or password refused", "The management controller answers, but not to this user and password.",
			"Correct user and password in the host's power settings; look whether the controller has locked the user out.", core.Warning,
		},
		{
			"power/not-allowed", "User may not switch the machine", "The management controller knows the user, who lacks the right to switch the machine.",
			"Give the user the operator role in the controller.", core.Warning,
		},
		{
			"power/unreachable", "Management controller not reachable", "The address of the controller refuses the connection, has no route, or is no name that is known.",
			"Check the address in the host's power settings, the controller's cable and whether its network service is on.", core.Warning,
		},
		{
			"power/timeout", "Management controller silent", "The controller gave no answer in time.",
			"Check its address and cable; a controller that hangs is restarted by taking the machine's mains cable out for a minute.", core.Warning,
		},
		{
			"power/unsupported", "Not possible this way", "This power method, or this controller, cannot do what was asked.",
			"Use another power method, or do it by hand.", core.Info,
		},
		{
			"power/untrusted", "Certificate not trusted", "The controller shows a certificate that is not the pinned one, or that no known authority signed.",
			"Compare the fingerprint with the controller's own page; pin it in the host's power settings when it is right.", core.Critical,
		},
		{
			"power/not-kept", "Setting was not kept", "The controller said yes, but reads back something else.",
			"Choose the network as the first boot device in the machine's firmware setup; update the controller's firmware.", core.Warning,
		},
		{
			"power/by-hand", "Press the power button", "This machine is switched by hand.",
			"Switch the machine on, and choose the network as its boot device when it asks.", core.Info,
		},
		{
			"power/failed", "Switching failed", "The controller answered with an error, or with something that makes no sense.",
			"See the detail of the attempt; try the controller's own page.", core.Warning,
		},
		{
			"power/stopped", "Attempt was given up", "The appliance gave the attempt up before it ended, because the run was called off or the appliance stops.",
			"Nothing, if you called it off; otherwise start the run again.", core.Info,
		},
		{
			SerialTaken, "Serial console is in use", "The management controller lets one at a time at the serial port, and somebody has it: an ipmitool that runs elsewhere, or one that was never ended.",
			"Ask who uses it; when nobody does, open it with “End their session and open it here” or --take-over.", core.Warning,
		},
		{
			"power/serial-off", "Serial console is switched off", "The management controller has serial over LAN, but it is switched off there, or for this user.",
			"Switch serial over LAN on in the controller (ipmitool sol set enabled true, and sol payload enable for the user).", core.Warning,
		},
		{
			SerialUnreachable, "Serial console needs IPMI", "Serial over LAN is spoken by IPMI, and this host's management controller is spoken to by Redfish only.",
			"Switch IPMI over LAN on in the controller and name ipmi among the host's power methods, after redfish.", core.Warning,
		},
		{
			SerialEnded, "Serial console ended", "The management controller ended the serial console, does not answer any more, or takes nothing more.",
			"Open it again; a controller that stays silent has its network cable and address looked at.", core.Warning,
		},
	}
}
