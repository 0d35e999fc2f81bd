package problem

import "vetting/core"

// Codes of hosts, their identity and their boots.
const (
	HostNotFound         = "host/not-found"
	HostTaken            = "host/mac-taken"
	HostBusy             = "host/busy"
	HostInvalid          = "host/invalid"
	HostBadMAC           = "host/bad-mac"
	HostBadPower         = "host/power-method"
	HostQuarantined      = "host/quarantined"
	HostIdentityMismatch = "host/identity-mismatch"
	HostIdentityRecorded = "host/identity-recorded"
	HostIdentityUnknown  = "host/identity-unknown"
	HostOtherPort        = "host/other-port"
	HostSpontaneousReset = "host/spontaneous-reset"
	BootDeadline         = "boot/deadline"
	BootTokenReused      = "boot/token-reused"
	BootTokenExpired     = "boot/token-expired"
	BootTokenRefused     = "boot/token-refused"
	BootNoRun            = "boot/no-run"
	BootSeedSpent        = "boot/seed-spent"
	BootSeedUnknown      = "boot/seed-unknown"
	BootWrongAddress     = "boot/wrong-address"
	PowerWakeFailed      = "power/wake-failed"
	ApplianceClock       = "appliance/clock-jumped"
	OperatorAction       = "operator/action"

	HostNotSeen        = "host/not-seen"
	HostManyIgnored    = "host/too-many-ignored"
	HostNoClass        = "host/no-class"
	HostClassUsed      = "host/class-used"
	HostImport         = "host/import"
	HostDuplicatePart  = "host/duplicate-part"
	HostKeyUnknown     = "host/key-unknown"
	HostKeyNew         = "host/key-new"
	HostKeyRefused     = "host/key-refused"
	HostClock          = "host/clock"
	HostEnrolKey       = "host/enrol-key"
	HostTooMany        = "host/too-many-waiting"
	HostDeleted        = "host/deleted"
	PowerAgentOffline  = "power/agent-offline"
	PowerAgentRefused  = "power/agent-refused"
	PowerKeyPending    = "power/key-pending"
	PowerNoAnswer      = "power/no-answer"
	PowerUntrusted     = "power/untrusted"
	PowerWrongPassword = "power/wrong-password"
	PowerBusy          = "power/busy"
)

func hosts() []Entry {
	return []Entry{
		{HostNotFound, "No such host", "No host has this address.", "Register the host first.", core.Warning},
		{HostTaken, "Address is taken", "Another host has this MAC address.", "Open the host that has it, or correct the address.", core.Warning},
		{HostBusy, "Host has a run", "A run of this host is not over.", "Cancel or release that run first.", core.Warning},
		{HostInvalid, "Host cannot be recorded like this", "A field of the host is missing or too long.", "Correct the field named in the message.", core.Warning},
		{HostBadMAC, "Not a MAC address", "The address cannot be read.", "Write it like 52:54:00:12:34:56.", core.Warning},
		{HostBadPower, "Power settings make no sense", "A way to switch the host lacks what it needs, or does not exist.", "Correct the field named in the message.", core.Warning},
		{
			HostQuarantined, "Host is in quarantine", "Something about the machine's identity was wrong, and nobody has looked at it since.",
			"Look at the machine, then lift the quarantine on the host's page.", core.Critical,
		},
		{
			HostIdentityMismatch, "Another machine behind a known address",
			"A machine with another SMBIOS UUID or board serial than recorded came with this host's address: a swapped board, a moved card, or an impostor.",
			"Look at the machine. If its board was replaced, lift the quarantine: the next boot records the new identity.", core.Critical,
		},
		{
			HostIdentityRecorded, "Identity recorded", "First contact: UUID and board serial were taken as this host's identity.",
			"Compare them with the label of the machine if you must be sure.", core.Info,
		},
		{
			HostIdentityUnknown, "Machine tells no identity", "The platform tells neither UUID nor board serial, so only its MAC address binds it.",
			"Set them with the maker's tool if you can.", core.Warning,
		},
		{
			HostOtherPort, "Host boots from a port that is not registered",
			"A machine with this host's SMBIOS UUID asks from another network port, which is not answered: the appliance answers registered addresses alone.",
			"Put network boot of the registered port first in its boot order, or plug the cable in there. All ports of a machine count once its agent was heard.", core.Warning,
		},
		{
			HostSpontaneousReset, "Machine reset itself", "The machine came back with another boot id while a stage was working, and nobody asked it to.",
			"Look at power supplies, memory and the machine's event log; run the stage again to see whether it repeats.", core.Critical,
		},
		{HostNotSeen, "Machine was never heard", "Only a machine that was heard on the test network can be adopted or ignored.", "Register the host by hand.", core.Warning},
		{HostManyIgnored, "Too many machines are ignored", "Each machine that is ignored is remembered, and there is room for so many.", "Adopt some of them, or take them back into the inbox.", core.Warning},
		{HostNoClass, "No such model class", "No model class has this name.", "Look it up in the list of classes.", core.Warning},
		{HostClassUsed, "Model class is in use", "Hosts still name this model class.", "Give those hosts another class first.", core.Warning},
		{HostImport, "List cannot be imported", "A line of the list makes no sense; nothing of it was taken over.", "Correct the lines named, then import the list again.", core.Warning},
		{OperatorAction, "Operator action", "Somebody did something on purpose; kept for the audit trail.", "Nothing.", core.Info},
	}
}

func boots() []Entry {
	return []Entry{
		{
			BootDeadline, "Host did not boot in time", "The run waited for the host to boot from the network and it never came.",
			"See the boot trace for how far it came: power, cable, boot order, in this turn.", core.Critical,
		},
		{
			BootTokenReused, "Boot token used twice", "A one-time boot token was presented again, by another boot or after its run had gone on: somebody may have read it.",
			"Look whether the host is where it should be; boot it again for a fresh token.", core.Critical,
		},
		{BootTokenExpired, "Boot token too old", "A boot token is good for ten minutes.", "Boot the host from the network again.", core.Warning},
		{BootTokenRefused, "Boot token refused", "The token is not the one this run waits for.", "Boot the host from the network again.", core.Warning},
		{BootNoRun, "No run waits for this machine", "The machine is not registered, or nothing is to be done with it.", "Start a run for the host first.", core.Warning},
		{BootSeedSpent, "Seed was fetched too often", "The seed archive is given out a few times only, until it is claimed.", "Boot the host from the network again.", core.Warning},
		{BootSeedUnknown, "No such seed", "No run waits for this seed archive.", "Boot the host from the network again.", core.Warning},
		{
			BootWrongAddress, "Seed asked from another address", "The seed belongs to another machine's address.",
			"Look for a machine that reads other machines' traffic.", core.Critical,
		},
		{
			PowerAgentOffline, "Installed agent not heard", "The host is to be rebooted by its installed agent, which has not been heard for a while.",
			"See whether the host is up and reaches the appliance; or switch it on by hand.", core.Warning,
		},
		{
			PowerAgentRefused, "Host would not reboot", "The installed agent said that this is a bad moment: somebody is logged in, or a file protects the host.",
			"See its reason in the boot trace; log out or take the file away, then start the run again.", core.Warning,
		},
		{
			PowerKeyPending, "Host key not approved", "Only a host whose key an operator has approved may be told to reboot.",
			"Compare the fingerprint with the host's own, then approve it on the host's page.", core.Warning,
		},
		{
			PowerNoAnswer, "Order without an answer", "The order to switch the host was given, and the host was not heard booting.",
			"See the boot trace; look at power, cable and boot order.", core.Warning,
		},
		{
			PowerBusy, "Not while a stage works", "Switching a machine off while it is tested would count as its failure.",
			"Cancel the run first.", core.Warning,
		},
		{PowerWakeFailed, "Host could not be switched on", "No way of the host's power settings worked.", "See the boot trace for each attempt; press the power button.", core.Warning},
		{
			ApplianceClock, "The appliance's clock jumped", "The wall clock was set; deadlines were moved along with it.",
			"Nothing, if you set it; otherwise look at the battery of the clock and at time synchronisation.", core.Warning,
		},
	}
}

func hostKeys() []Entry {
	return []Entry{
		{
			HostDuplicatePart, "Part is listed for two hosts", "The same serial number or address was found in another host: a part that was moved, a copy, or a firmware that tells every machine the same.",
			"See which machine has {part}; correct the other's record by vetting it again.", core.Warning,
		},
		{HostKeyUnknown, "Host key not known", "The call is signed with a key that no host has registered.", "Register the host again.", core.Warning},
		{
			HostKeyNew, "Host key waits for approval", "An installed host has made its key known.",
			"Compare the fingerprint with the one the host prints, then approve it.", core.Warning,
		},
		{
			HostKeyRefused, "Host key refused", "The call is not signed, its signature does not fit, or the key was revoked.",
			"Register the host again and approve its key.", core.Warning,
		},
		{
			HostClock, "Host's clock is off", "A signed call of an installed host had a time that was used before or is far from ours.",
			"Nothing: the host asks again with the right time; if it goes on, look at the clocks of both.", core.Info,
		},
		{HostEnrolKey, "Enrolment key refused", "This appliance takes only hosts that know its enrolment key.", "Take the key from the appliance's configuration.", core.Warning},
		{
			HostDeleted, "Deleted host not taken", "An installed host registers itself that an operator deleted and that can still be brought back.",
			"Bring it back or register it, or remove the agent from it.", core.Info,
		},
		{HostTooMany, "Too many hosts wait for approval", "Installed hosts that nobody has approved are kept up to a limit.", "Approve or delete those that wait.", core.Warning},
	}
}
