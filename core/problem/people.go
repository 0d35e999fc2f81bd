package problem

import (
	"slices"

	"vetting/core"
)

// people lists the codes of users and their roles, and of lists and specs that
// people bring.
func people() []Entry {
	return slices.Concat(signingIn(), secondFactors(), userChanges(), brought())
}

// signingIn lists what keeps people out, and what second factors want.
func signingIn() []Entry {
	return []Entry{
		{
			"account/bad-role", "No such role",
			"A user is a viewer, an operator or an admin.",
			"Choose one of the three.", core.Warning,
		},
		{
			"account/last-admin", "The last administrator stays",
			"Without one nobody could let people in.",
			"Make another administrator first, and let them sign in.", core.Warning,
		},
		{
			"account/link-other", "The one-time link is somebody else's",
			"An invitation sets the password of the user it was made for.",
			"Use the name that the page shows.", core.Warning,
		},
		{
			"account/wrong-code", "The code is wrong",
			"A code of an authenticator is good for half a minute and once; a recovery code once.",
			"Wait for the next code. Where none is taken, compare the clocks of phone and appliance.", core.Warning,
		},
		{
			"account/code-late", "Name and password are asked for again",
			"A password counts for five minutes and five codes.",
			"Sign in from the beginning.", core.Warning,
		},
		{
			"account/no-enrolment", "No second factor is being set up",
			"One that is drawn must be confirmed with a code within a quarter of an hour.",
			"Begin again on the page Settings.", core.Warning,
		},
		{
			"account/no-totp", "The user has no second factor",
			"There is none to take away, and it has no recovery codes.",
			"Nothing.", core.Info,
		},
		{
			"account/own-totp", "One's own second factor goes with a code of it alone",
			"Whoever finds a console left open must not be able to take it over.",
			"Turn it off in the settings; without a code, have another administrator take it away, or run vetting admin reset-totp on the appliance.", core.Info,
		},
		{
			"account/own-link", "One's own password is changed with it alone",
			"Whoever finds a console left open must not be able to take it over.",
			"Change it in the settings; without it, have another administrator make a link, or run vetting admin link on the appliance.", core.Info,
		},
	}
}

// secondFactors lists what was done to second factors.
func secondFactors() []Entry {
	return []Entry{
		{
			"account/totp-on", "A second factor was turned on",
			"Kept for the audit trail.",
			"Nothing, if you know of it.", core.Info,
		},
		{
			"account/totp-off", "A second factor was taken away",
			"Kept for the audit trail; the password alone opens.",
			"Nothing, if you know of it.", core.Info,
		},
		{
			"account/totp-codes", "Recovery codes were made anew",
			"Kept for the audit trail; those before are void.",
			"Nothing, if you know of it.", core.Info,
		},
	}
}

// userChanges lists what was done to users, or could not be.
func userChanges() []Entry {
	return []Entry{
		{
			"account/user-changed", "A user got another role",
			"Kept for the audit trail.",
			"Nothing, if you know of it.", core.Info,
		},
		{
			"account/user-exists", "The name is taken",
			"There is a user of this name already.",
			"Choose another name, or change the role of that user.", core.Warning,
		},
		{
			"account/user-made", "A user was made",
			"Kept for the audit trail.",
			"Nothing, if you know of it.", core.Info,
		},
		{
			"account/user-not-found", "No such user",
			"They may have been removed already.",
			"Look at the list of people.", core.Warning,
		},
		{
			"account/user-removed", "A user was removed",
			"Kept for the audit trail.",
			"Nothing, if you know of it.", core.Info,
		},
	}
}

// brought lists what is wrong with what people bring.
func brought() []Entry {
	return []Entry{
		{
			"host/bad-list", "The list of hosts cannot be read",
			"It is not CSV, lacks a column that is needed, or a row of it makes no sense.",
			"Correct the line that the message names; the exported list shows the form.", core.Warning,
		},
		{
			"spec/other-host", "The run was of another host",
			"A spec is learned from what a run found in this very host.",
			"Choose a run of this host.", core.Warning,
		},
	}
}
