package problem

import (
	"slices"

	"vetting/core"
)

// rooms lists the codes that the rooms raise themselves.
func rooms() []Entry {
	return slices.Concat(
		agentCalls(), agentRuns(), agentFaults(), agentStages(), ledgers(), backups(), records(), logs(), artifacts(),
		dhcps(), cards(), accounts(), people(), links(), outside(), tokens(), consoles(), orders(), entrances(), powers(), notices(),
	)
}

// agentCalls lists refusals of the agent API.
func agentCalls() []Entry {
	return []Entry{
		{
			"agent/artifact-name", "File without a name",
			"An artifact needs a name.",
			"Send it with ?name=.", core.Warning,
		},
		{
			"agent/method", "Wrong method",
			"The agent API is called with POST.",
			"Use POST.", core.Warning,
		},
		{
			"agent/no-such-call", "No such call",
			"The agent API does not have this call.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"agent/no-partner", "No throughput partner",
			"The appliance does not take part in network tests; a port cannot be tested without it.",
			"Look into the appliance's log for why its throughput partner does not listen; set traffic.port where something else has that port.", core.Warning,
		},
		{
			"agent/no-token", "No token",
			"Calls of the agent carry their token in the header Authorization: Bearer.",
			"Boot the host from the network; the agent gets a token then.", core.Warning,
		},
		{
			"agent/refused", "Not allowed",
			"The token does not allow this.",
			"Boot the host from the network again.", core.Warning,
		},
		{
			"agent/no-program", "No agent for installed hosts here", "This appliance was built without the program that it gives to installed hosts.",
			"Take an appliance made by make build.", core.Warning,
		},
		{
			"agent/too-fast", "Too many calls",
			"This machine asks more often than it may.",
			"Nothing: the agent waits and asks again.", core.Warning,
		},
		{
			"agent/too-large", "Message too large",
			"The body is larger than this call may have.",
			"Nothing: the agent sends less.", core.Warning,
		},
		{
			"agent/unauthorized", "Token not known",
			"The token names nobody.",
			"Boot the host from the network again, so that it gets a fresh one.", core.Warning,
		},
	}
}

// agentRuns lists refusals that are about the run which the agent speaks of.
func agentRuns() []Entry {
	return []Entry{
		{
			"run/expired", "A newer boot has taken the run over",
			"This agent belongs to an older boot, or its run is over.",
			"Nothing, if you restarted the host.", core.Info,
		},
		{
			"run/bad-state", "No such state",
			"The list of runs was asked for a state that does not exist.",
			"Use one of the states of docs.", core.Warning,
		},
	}
}

// agentFaults lists what goes wrong between agent and appliance.
func agentFaults() []Entry {
	return []Entry{
		{
			"agent/internal", "The appliance could not answer the agent",
			"Something broke in the appliance; its log says what.",
			"Look at the appliance's log; the agent asks again.", core.Critical,
		},
		{
			"agent/invalid-message", "Message makes no sense",
			"The agent's message is well formed but has a field outside its limits.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"agent/invalid-result", "The result could not be sent",
			"The appliance does not take what the stage said.",
			"Retry the stage; if it comes back, report it with the run's log: the hardware is not to blame.", core.Critical,
		},
		{
			"agent/malformed-json", "Message cannot be read",
			"The body is not the JSON it should be.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
		{
			"agent/panic", "A call broke the appliance's gate",
			"A message made the gate fail; it goes on with the next.",
			"Report it with the appliance's log.", core.Critical,
		},
		{
			"agent/protocol-version", "Agent and appliance do not understand each other",
			"The agent speaks another version of the protocol.",
			"Boot the image that came with this appliance.", core.Critical,
		},
		{
			"agent/too-many-elements", "Message too intricate",
			"The JSON has more elements than reading it may cost.",
			"Nothing: the agent sends less.", core.Warning,
		},
		{
			"agent/unknown-value", "Unknown word",
			"A field has a word that the contract does not know.",
			"Agent and appliance may be of different versions; boot the host again.", core.Warning,
		},
	}
}

// agentStages lists how a stage breaks in the agent.
func agentStages() []Entry {
	return []Entry{
		{
			"agent/stage-crash", "The test program died again and again",
			"The agent's process ended three times during this stage.",
			"Retry the stage; if it comes back, report it with the run's log: the hardware is not to blame.", core.Critical,
		},
		{
			"agent/stage-panic", "The test program crashed",
			"The stage ended in a fault of ours.",
			"Retry the stage; if it comes back, report it with the run's log: the hardware is not to blame.", core.Critical,
		},
		{
			"agent/stage-unknown", "The boot image does not have this stage",
			"Agent and appliance are of different versions.",
			"Boot the image that came with this appliance.", core.Critical,
		},
	}
}

// Codes of backups that rooms raise.
const (
	BackupNoFolder = "backup/no-folder"
	BackupUnderWay = "backup/under-way"
	BackupUnknown  = "backup/unknown-name"
)

// backups lists what can be wrong with a backup.
func backups() []Entry {
	return []Entry{
		{
			"backup/damaged", "The backup is damaged",
			"It is not what was written, or its end is missing.",
			"Take an older one. Look at the disk that it lies on.", core.Critical,
		},
		{
			"backup/data-in-the-way", "There is data already",
			"A backup is never restored over data, nor under an appliance that runs.",
			"Stop the appliance, move its data directory away, and restore again.", core.Warning,
		},
		{
			"backup/newer-format", "Backup of a newer version",
			"This program does not know its format.",
			"Restore it with the program that wrote it, or a newer one.", core.Critical,
		},
		{
			BackupNoFolder, "No folder for backups",
			"The configuration names none, so that the appliance keeps no backups by itself.",
			"Set backup.dir and restart, or download a backup of this moment.", core.Warning,
		},
		{
			"backup/nothing", "Nothing to back up",
			"There is no ledger in the data directory.",
			"Name the appliance's data directory with --data-dir.", core.Warning,
		},
		{
			"backup/restoring", "A backup is being restored there",
			"Another process restores into the same data directory at this moment.",
			"Wait for its end, and look at what it has made before you restore again.", core.Warning,
		},
		{
			BackupUnderWay, "A backup is under way",
			"One backup is written or read at a time.",
			"Try again once it is done.", core.Warning,
		},
		{
			BackupUnknown, "No such backup",
			"The folder has no backup of that name that the appliance made.",
			"List the backups.", core.Warning,
		},
	}
}

// ledgers lists what can be wrong with the ledger.
func ledgers() []Entry {
	return []Entry{
		{
			"store/closed", "The ledger is closed",
			"The appliance is stopping.",
			"Try again once it runs.", core.Warning,
		},
		{
			"store/damaged", "The ledger is damaged",
			"What the disk gives back is not what was written.",
			"Copy the directory away and restore the newest backup.", core.Critical,
		},
		{
			"store/full", "The disk is full",
			"The ledger keeps some space free, without which it could not go on safely. Nothing was written and nothing is lost.",
			"Free some space; the agents keep their data and ask again.", core.Critical,
		},
		{
			"store/locked", "The ledger is in use",
			"Another process uses this directory.",
			"Stop it, or give this one a directory of its own.", core.Critical,
		},
		{
			"store/loss-accepted", "Lost writes were accepted",
			"Somebody told the appliance to go on though the end of the ledger's log is damaged.",
			"See the notice for what is missing.", core.Critical,
		},
		{
			"store/newer-record", "Record of a newer version",
			"A record was written by a newer version of the appliance.",
			"Run that version, or restore a backup made with this one.", core.Critical,
		},
		{
			"store/newer-schema", "Ledger of a newer version",
			"The ledger was written by a newer version of the appliance.",
			"Run that version, or restore a backup made with this one.", core.Critical,
		},
		{
			"store/shedding-logs", "Logs and files wait for space",
			"What is left of the disk is kept for verdicts.",
			"Free some space; what waits is sent again.", core.Warning,
		},
		{
			"store/write-failed", "Writing failed",
			"The disk refused a write.",
			"Check the disk, then restart the appliance: it takes up from what is on the disk.", core.Critical,
		},
		{
			"store/unreadable", "The ledger cannot be read",
			"The disk, or the rights of the data directory, do not let the appliance read its ledger.",
			"Mend what the message names.", core.Critical,
		},
		{
			"store/writes-lost", "Acknowledged writes are missing",
			"The end of the ledger's log is damaged, or the directory is an old copy.",
			"Restore the newest backup, or go on without them: vetting store accept-loss.", core.Critical,
		},
	}
}

// records lists what the ledger does not take.
func records() []Entry {
	return []Entry{
		{
			"store/bad-key", "Not a key",
			"A record's key cannot be stored.",
			"Report it with the appliance's log.", core.Warning,
		},
		{
			"store/bad-run", "Not a run",
			"An event names a run that cannot be one.",
			"Report it with the appliance's log.", core.Warning,
		},
		{
			"store/bad-table", "Not a table",
			"A record's table cannot be one.",
			"Report it with the appliance's log.", core.Warning,
		},
		{
			"store/not-json", "Value cannot be stored",
			"A value has no form in JSON.",
			"Report it with the appliance's log.", core.Critical,
		},
		{
			"store/update-too-large", "Too much at once",
			"One write is larger than the ledger takes.",
			"Report it with the appliance's log.", core.Critical,
		},
		{
			"store/value-too-large", "Record too large",
			"A record is larger than the ledger takes.",
			"Report it with the appliance's log.", core.Critical,
		},
	}
}

// logs lists the codes of run logs.
func logs() []Entry {
	return []Entry{
		{
			"log/bad-line", "Log line cannot be stored",
			"A line has no form in JSON.",
			"Report it with the run's log.", core.Warning,
		},
		{
			"log/bad-run", "Not a run",
			"A run's name is letters and digits only.",
			"Use the number of the run.", core.Warning,
		},
		{
			"log/batch-too-large", "Too many log lines at once",
			"A batch may have only so many lines.",
			"Nothing: the agent sends several.", core.Warning,
		},
		{
			"log/disk-full", "The disk for logs is full",
			"The lines were not kept and will be sent again.",
			"Free some space.", core.Critical,
		},
		{
			"log/no-directory", "No directory for logs",
			"The configuration names none.",
			"Name a directory for the logs of runs.", core.Critical,
		},
	}
}

// artifacts lists the codes of files.
func artifacts() []Entry {
	return []Entry{
		{
			"artifact/damaged", "File is damaged",
			"The disk has changed it since it was kept.",
			"Take it from a backup.", core.Critical,
		},
		{
			"artifact/disk-full", "The disk for files is full",
			"Nothing of the file was kept.",
			"Free some space.", core.Critical,
		},
		{
			"artifact/no-directory", "No directory for files",
			"The configuration names none.",
			"Name a directory for the artifacts.", core.Critical,
		},
		{
			"artifact/not-found", "No such file",
			"The run left no such file, or it has expired.",
			"Look at the run's list of files.", core.Warning,
		},
		{
			"artifact/too-large", "File too large",
			"A file is larger than the most that is kept.",
			"Send a smaller one.", core.Warning,
		},
	}
}

// dhcps lists the codes of packets on the test network.
func dhcps() []Entry {
	return slices.Concat(bootNetwork(), bootTransfers())
}

// bootNetwork lists what goes wrong with addresses and the network that they are of.
func bootNetwork() []Entry {
	return []Entry{
		{
			"netboot/address-conflict", "An address is in use twice",
			"Two machines use one address of the test network.",
			"Find the machine named and give it another address, or take it off the test network.", core.Warning,
		},
		{
			"netboot/dhcp-malformed", "Broken DHCP packet",
			"A packet could not be read and was dropped.",
			"Nothing, unless one machine sends them all the time.", core.Info,
		},
		{
			"netboot/dhcp-packet", "A DHCP packet could not be handled",
			"A packet made the server fail; it goes on with the next.",
			"Report it with the hex of the log.", core.Warning,
		},
		{
			"netboot/dhcp-relay", "Relayed DHCP packet",
			"The test network has no relays, so the packet was ignored.",
			"Take the relay off the test network.", core.Info,
		},
		{
			"netboot/http-malformed", "Broken HTTP request",
			"A request to the boot HTTP server could not be read and was refused.",
			"Nothing, unless one machine sends them all the time.", core.Info,
		},
		{
			"netboot/lease-not-saved", "A lease could not be saved",
			"The machine was given no address, since it would be forgotten.",
			"Look at the ledger's disk; the machine asks again.", core.Critical,
		},
		{
			"netboot/no-test-nic", "No test NIC is in use",
			"The boot services are off, and no machine is answered.",
			"Choose the dedicated test NIC in the settings, under First steps, or name it with netboot.interface and restart.", core.Critical,
		},
		{
			"netboot/pool-empty", "No address is free",
			"Every address of the pool is given to a machine.",
			"Enlarge the pool.", core.Critical,
		},
		{
			"netboot/rogue-dhcp", "Another DHCP server answers",
			"Two of them break machines on both, so the appliance offers nothing as long as the other is there.",
			"Turn that one off or choose another network card. Once it is gone the appliance goes on by itself; where it cannot tell, start it again.", core.Critical,
		},
	}
}

// bootTransfers lists what goes wrong with files that are sent, and with trials.
func bootTransfers() []Entry {
	return []Entry{
		{
			"netboot/tftp-malformed", "Broken TFTP request",
			"A packet to the TFTP port was no request that can be read, and was refused.",
			"Nothing, unless one machine sends them all the time.", core.Info,
		},
		{
			"netboot/tftp-narrow", "Large packets do not reach a machine",
			"The first block of a TFTP transfer was not acknowledged; the next transfer to that machine is made with smaller blocks.",
			"Nothing, if it boots then. Look for an MTU below 1500, VLAN tags or a tunnel on the way to it.", core.Info,
		},
		{
			"netboot/trial-missing", "A program for the trial is missing",
			"The trial of the boot services plays a machine with QEMU and its firmware.",
			"Install what the message names.", core.Info,
		},
		{
			"netboot/trial-network", "The trial found a network",
			"It makes a network of its own, in a namespace without any other card, and stops where there is one.",
			"Run it as vetting netboot test, which makes the namespace; report this where it does so.", core.Warning,
		},
		{
			"netboot/tftp-packet", "A TFTP request could not be handled",
			"A packet made the server fail; it goes on with the next.",
			"Report it with the hex of the log.", core.Warning,
		},
	}
}

// cards lists why the boot services do not start.
func cards() []Entry {
	return []Entry{
		{
			"netboot/default-route", "This looks like somebody's network",
			"The default route leads through the network card, so that a DHCP server there would disturb others.",
			"Choose a card of its own for the test network, serve beside that network's DHCP server with netboot.mode: proxy, or say --i-own-this-network.", core.Critical,
		},
		{
			"netboot/missing-capability", "A right is missing",
			"The appliance may not do this without the capability named.",
			"Grant it with the command in the message.", core.Critical,
		},
		{
			"netboot/no-address", "The network card has no address",
			"Giving it one takes a right that is missing.",
			"Give it the address with the command in the message.", core.Critical,
		},
		{
			"netboot/no-card", "No such network card",
			"No card has this name.",
			"Plug it in again, or choose one that `ip link` lists.", core.Critical,
		},
		{
			"netboot/no-image", "No boot image",
			"This binary was built without the boot image.",
			"Build it with `make image build`.", core.Critical,
		},
		{
			"netboot/port-taken", "A port is in use",
			"Another program listens on a port of the boot services.",
			"Stop that program or choose another network card.", core.Critical,
		},
	}
}

// accounts lists why somebody is not let in.
func accounts() []Entry {
	return []Entry{
		{
			"account/bad-name", "Not a name",
			"A name has 1 to 32 letters a to z, digits, dots, hyphens or underscores.",
			"Choose another name.", core.Warning,
		},
		{
			"account/bad-password", "Password too weak",
			"A password must be long, and not one that everybody uses.",
			"Choose a longer one.", core.Warning,
		},
		{
			"account/no-session", "Not signed in with a password",
			"An API token cannot change a password.",
			"Sign in with a password to change it.", core.Warning,
		},
		{
			"account/nobody", "Nobody is asking",
			"The request carries neither session nor token.",
			"Sign in, or send an API token as Authorization: Bearer.", core.Warning,
		},
		{
			"account/not-allowed", "Not allowed",
			"This needs a scope that the token or account does not have.",
			"Ask an administrator.", core.Warning,
		},
		{
			"account/not-signed-in", "Not signed in",
			"The session or token is not valid.",
			"Sign in, or send an API token that is valid.", core.Warning,
		},
		{
			"account/password-differs", "The two passwords differ",
			"They were typed differently.",
			"Type the same one twice.", core.Warning,
		},
		{
			"account/session-expired", "The session has ended",
			"It was idle too long, or reached its age.",
			"Sign in again.", core.Info,
		},
		{
			"account/too-fast", "Too many attempts",
			"Wrong passwords make the next attempt wait.",
			"Wait as long as the message says.", core.Warning,
		},
		{
			"account/wrong-password", "Name or password is wrong",
			"One of the two does not match.",
			"Try again; print a one-time link on the appliance if it is lost.", core.Warning,
		},
	}
}

// links lists the codes of one-time links and what is kept of logins.
func links() []Entry {
	return []Entry{
		{
			"account/link-expired", "The one-time link has expired",
			"Links are good for a short time only.",
			"Print a new one on the appliance with: vetting admin link", core.Warning,
		},
		{
			"account/link-printed", "A one-time link was made",
			"Somebody at the appliance's terminal may set a password.",
			"Nothing, if it was you.", core.Info,
		},
		{
			"account/link-unknown", "The one-time link is wrong",
			"It was used already, or replaced by a newer one.",
			"Print a new one on the appliance with: vetting admin link", core.Warning,
		},
		{
			"account/login", "Somebody signed in",
			"Kept for the audit trail.",
			"Nothing, if you know them.", core.Info,
		},
		{
			"account/password-changed", "A password was changed",
			"Kept for the audit trail.",
			"Nothing, if it was you.", core.Info,
		},
		{
			"account/password-set", "A password was set",
			"Somebody used the one-time link.",
			"Nothing, if it was you.", core.Info,
		},
	}
}

// tokens lists the codes of API tokens.
func tokens() []Entry {
	return []Entry{
		{
			"account/token-made", "An API token was made",
			"Kept for the audit trail.",
			"Nothing, if it was you.", core.Info,
		},
		{
			"account/token-revoked", "An API token was revoked",
			"Kept for the audit trail.",
			"Nothing, if it was you.", core.Info,
		},
		{
			"token/bad-name", "Not a name for a token",
			"A token needs a name that says what it is for.",
			"Choose a name of 1 to 64 characters.", core.Warning,
		},
		{
			"token/bad-scope", "No such scope",
			"A token has one of the scopes of the console.",
			"Choose one of those listed.", core.Warning,
		},
		{
			"token/bad-life", "Not a life for a token",
			"A token lives from a second to ten years, or without a limit until it is revoked.",
			"Give another time, or none.", core.Warning,
		},
		{
			"token/not-found", "No such token",
			"It may have been revoked already.",
			"Look at the list of tokens.", core.Warning,
		},
	}
}

// consoles lists the codes of the console and the operator API.
func consoles() []Entry {
	return slices.Concat(consoleCalls(), consoleRequests())
}

// consoleCalls lists what goes wrong with pages and streams.
func consoleCalls() []Entry {
	return []Entry{
		{
			"console/broken", "Something broke in the appliance",
			"The request could not be answered.",
			"Look at the appliance's log.", core.Critical,
		},
		{
			"console/bad-search", "Too long to look for",
			"What is looked for in the documentation has less than 100 letters.",
			"Look for fewer words.", core.Info,
		},
		{
			"console/no-certificate", "No certificate",
			"This console has no certificate of its own to hand out.",
			"Nothing, where it is served without TLS.", core.Info,
		},
		{
			"console/no-such-page", "No such page",
			"Nothing is at this address.",
			"Go back to the start page.", core.Warning,
		},
		{
			"console/other-site", "Request from another site",
			"The request does not come from the console's own pages.",
			"Open the console and try again.", core.Warning,
		},
		{
			"events/bad-cursor", "Not a place in the stream",
			"A cursor is a sequence number.",
			"Start again without it.", core.Warning,
		},
		{
			"events/too-many", "Too many live streams",
			"The appliance serves only so many at once.",
			"Close some pages and try again.", core.Warning,
		},
	}
}

// consoleRequests lists what is wrong with requests.
func consoleRequests() []Entry {
	return []Entry{
		{
			"list/bad-limit", "Not a limit",
			"A page has a limited number of entries.",
			"Ask for a number in the range that the message names.", core.Warning,
		},
		{
			"list/bad-page-token", "Not a page",
			"The page token is not one this appliance gave.",
			"Start again without it.", core.Warning,
		},
		{
			"run/unknown-profile", "No such profile",
			"A profile was named that there is none of.",
			"Take one that vetting profile list names.", core.Warning,
		},
		{
			"request/bad-number", "Not a number",
			"A parameter must be a whole number, 0 or more.",
			"Correct the parameter named in the message.", core.Warning,
		},
		{
			"request/bad-boolean", "Neither true nor false",
			"A parameter must be true or false.",
			"Correct the parameter named in the message.", core.Warning,
		},
		{
			"request/bad-day", "Not a day",
			"A parameter must be a day like 2026-01-31.",
			"Correct the parameter named in the message.", core.Warning,
		},
		{
			"request/bad-time", "Not a time",
			"A parameter must be a time like 2026-01-31T12:00:00Z.",
			"Correct the parameter named in the message.", core.Warning,
		},
		{
			"request/bad-verdict", "Not a verdict",
			"A parameter must be the verdict of a run.",
			"Take one that the message names.", core.Warning,
		},
		{
			"request/malformed", "Request cannot be read",
			"The body is not what this call takes.",
			"See the API's documentation.", core.Warning,
		},
	}
}
