package problem

import "vetting/core"

// Codes of notifications (ui/notify).
const (
	NotifyTimeout     = "notify/timeout"
	NotifyUnreachable = "notify/unreachable"
	NotifyRefused     = "notify/refused"
	NotifyFailed      = "notify/failed"
	NotifyStopped     = "notify/stopped"
	NotifyQueueFull   = "notify/queue-full"
	NotifyUnknown     = "notify/unknown-target"
	NotifyArrived     = "notify/arrived"
)

func notices() []Entry {
	return []Entry{
		{
			NotifyTimeout, "Notification took too long", "The service did not take the message in time, so it was given up.",
			"Try the notifier's Test; give it more attempts when the service is slow now and then.", core.Warning,
		},
		{
			NotifyUnreachable, "Notification service not reachable", "The service's address refuses the connection, has no route, or is no name that is known.",
			"Check the notifier's address, and the appliance's way to it: name server, gateway, proxy.", core.Warning,
		},
		{
			NotifyRefused, "Notification refused", "The service answers, but not to this token, password or address.",
			"Make a new token or webhook at the service and put it into the configuration.", core.Warning,
		},
		{
			NotifyFailed, "Notification failed", "The service answered with an error.",
			"See the detail of the delivery, then try the notifier's Test.", core.Warning,
		},
		{
			NotifyStopped, "Notification given up", "The appliance stopped while the message was under way.",
			"Look at the run itself; the message is not sent again.", core.Info,
		},
		{
			NotifyQueueFull, "Too many notifications at once", "So many messages wait for this service that this one was not sent.",
			"Look at the rack itself, then at why the service is slow.", core.Warning,
		},
		{
			NotifyArrived, "The message has arrived", "Only a message that did not arrive is sent again.",
			"Nothing needs to be done.", core.Info,
		},
		{
			NotifyUnknown, "No such notifier", "No notifier has this name.",
			"Look at notifiers in the configuration.", core.Warning,
		},
	}
}
