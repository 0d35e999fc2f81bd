package problem

import "vetting/core"

// Codes of what people do with the console and the operator API.
const (
	HoldUnreached = "hold/unreached"
	HoldTunnels   = "hold/too-many"
	HoldTicket    = "hold/terminal-ticket"
	HoldStranger  = "hold/terminal-refused"
	HoldOtherKey  = "hold/other-host-key"
	HoldNoShell   = "hold/no-shell"
	BadKeyState   = "host/bad-key-state"
	BadOverride   = "profile/bad-override"
	AccountStale  = "account/password-needed"
	FormStale     = "form/changed-since"
	NotifierThere = "notify/name-taken"
	RecordChanged = "request/changed-since"
)

// orders lists the codes of what people order in the console.
func orders() []Entry {
	return []Entry{
		{
			"request/key-busy", "The order is being carried out", "Another request with this idempotency key is at work.",
			"Ask again in a moment; the answer is that of the first.", core.Warning,
		},
		{
			"request/key-reused", "The idempotency key was used for another order", "A key stands for one order, with one body.",
			"Choose a new key for each order.", core.Warning,
		},
		{
			"request/answer-lost", "The order was carried out, and its answer is not kept", "It holds a secret, which is shown once, or was lost when the appliance stopped.",
			"Look at Activity for what was done; send another order under a new key if it is needed again.", core.Warning,
		},
		{
			RecordChanged, "It was changed since it was read", "The header If-Match names a state that is on record no more, or If-None-Match one that is.",
			"Read it again, and decide anew what to write.", core.Warning,
		},
		{
			AccountStale, "Type the password again", "What cannot be undone asks for a password that was typed within the last five minutes.",
			"Type it in the field beside the button.", core.Warning,
		},
		{
			BadKeyState, "No such state of a host key", "A host key is pending, approved or revoked.",
			"Choose one of the three.", core.Warning,
		},
		{
			BadOverride, "What differs from the profile cannot be read", "A setting, a number or a time of the form is not one.",
			"Correct what the message names; the rest of the form is kept.", core.Warning,
		},
		{
			FormStale, "Somebody else has saved meanwhile", "What the form was opened with is no longer what is on record; saving it would undo what nobody of the two saw.",
			"Look at what is on record now, and save again to put yours in its place.", core.Warning,
		},
		{
			NotifierThere, "There is a notifier of this name", "A notifier that is saved under the name of another takes its place, and the secrets of that one are gone.",
			"Choose another name, or tick that it shall take the place of the one that is there.", core.Warning,
		},
	}
}

// entrances lists the codes of the ways into a held host.
func entrances() []Entry {
	return []Entry{
		{
			HoldUnreached, "Held host does not answer", "The SSH server of the held host did not take a connection from the appliance.",
			"See on the run's page whether its agent still beats; look at the machine's screen if not.", core.Warning,
		},
		{
			HoldTunnels, "Too many tunnels", "The appliance carries only so many connections to held hosts at once.",
			"Close some and try again.", core.Warning,
		},
		{
			HoldTicket, "This terminal was opened before", "The page of a terminal opens it once, and within two minutes, so that no other page can.",
			"Load the page of the terminal again.", core.Warning,
		},
		{
			HoldStranger, "Held host does not let the terminal in", "The key of the web terminal is drawn anew when the appliance starts; a host that was held before does not know it.",
			"Use ssh with the key of the hold, or run the stage again.", core.Warning,
		},
		{
			HoldOtherKey, "Another machine answers at the held host's address", "The host key is not the one that the agent told over its pinned connection.",
			"Do not type anything secret. Look at what is connected to the test network.", core.Critical,
		},
		{
			HoldNoShell, "Held host opens no shell", "Its SSH server let the terminal in and then gave it no shell; it takes only a few at once.",
			"Close other sessions and try again.", core.Warning,
		},
	}
}
