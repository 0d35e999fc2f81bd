package problem

import (
	"slices"

	"vetting/core"
)

// outside lists the codes of people who sign in at a provider, and of tasks.
func outside() []Entry { return slices.Concat(outsiders(), providers(), tasks()) }

// outsiders are of the people.
func outsiders() []Entry {
	return []Entry{
		{
			"account/outside", "The user signs in at a provider",
			"The provider keeps their password and second factor, and the configuration gives their role.",
			"Change it at the provider, or under oidc in the configuration.", core.Info,
		},
		{
			"account/name-taken", "The name belonged to somebody else",
			"The provider has given a name to another person than the one who was let in by it.",
			"Look who it is; remove the user of that name under People, and have them sign in again.", core.Warning,
		},
		{
			"account/somebody-else", "Somebody else signed in",
			"Whoever had to prove again who they are is not who signed in at the provider.",
			"Sign out at the provider, and sign in there as yourself.", core.Warning,
		},
	}
}

// providers are of the provider.
func providers() []Entry {
	return []Entry{
		{
			"oidc/bad-config", "The provider is not set up",
			"Part of the configuration under oidc is missing or not safe.",
			"Set what the message names.", core.Warning,
		},
		{
			"oidc/late", "The sign-in is over",
			"It was begun in another browser, before the appliance started, or more than ten minutes ago.",
			"Begin it again on the page that signs in.", core.Info,
		},
		{
			"oidc/declined", "The provider did not sign anybody in",
			"It was broken off there, or the provider lets this person into other programs only.",
			"Sign in there, or ask whoever runs the provider.", core.Warning,
		},
		{
			"oidc/unproven", "The provider's word does not hold",
			"The code was refused, or the ID token has another signature, issuer, audience, nonce or time than it must have.",
			"Read the cause in the log; compare oidc.client_id, oidc.client_secret and the clocks of both machines.", core.Warning,
		},
		{
			"oidc/down", "The provider does not answer",
			"It cannot be reached, its certificate is not trusted, or it is not at oidc.issuer.",
			"Sign in with a password; read the cause in the log.", core.Warning,
		},
		{
			"oidc/not-fresh", "The provider did not ask again",
			"What cannot be undone needs a sign-in of just now, and the provider says of none (auth_time).",
			"Sign out at the provider and try again; it must support max_age.", core.Warning,
		},
		{
			"oidc/not-invited", "The provider knows them, the appliance does not",
			"None of their verified address, its domain and their groups is in the configuration.",
			"Add one under oidc.admins, oidc.operators or oidc.viewers, if they are to come in.", core.Warning,
		},
	}
}

// tasks are of what is under way, and of the record of what was.
func tasks() []Entry {
	return []Entry{
		{
			"task/not-found", "There is no such task",
			"It is over, or never was.",
			"Look at what is under way: vetting task list", core.Info,
		},
		{
			"task/stopped", "The task was stopped",
			"Somebody stopped it before its end.",
			"Begin it again if it is still wanted; the audit trail says who it was.", core.Info,
		},
		{
			"list/bad-result", "Not a result",
			"Entries of the audit trail were done, refused or failed.",
			"Ask for one of the three.", core.Warning,
		},
	}
}
