package operator

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

func (e *Env) notifyCommand() *cobra.Command {
	columns := "time=time|time event target kind severity topic text ok attempts detail"
	lost := func(what string) func(any) string {
		return func(answer any) string {
			if at(answer, "ok") == true {
				return ""
			}

			return what + " did not arrive; see the detail"
		}
	}

	return e.group("notify", "Who is told of what",
		verb{use: "list", aliases: []string{"ls"}, short: "List notifiers and what came of them last", route: "notifiers.list", sheet: sheet{
			list: "notifiers", columns: "name kind attempts last=last.time|time arrived=last.ok tested=tested.time|time test_arrived=tested.ok", name: "name",
		}},
		verb{use: "log", short: "Read what came of messages, the newest first", route: "deliveries.list", sheet: sheet{list: "deliveries", columns: columns, name: "event"}},
		verb{
			use: "test NOTIFIER…", short: "Send a test message now; what came of it is kept", route: "notifiers.test",
			sheet: sheet{columns: columns, name: "target"}, bad: lost("a test message"),
		},
		verb{
			use: "resend EVENT TARGET", short: "Send a message once more that did not arrive, as vetting notify log has it", route: "deliveries.resend",
			example: "  vetting notify log --failed\n  vetting notify resend 4711 phone",
			sheet:   sheet{columns: columns, name: "event"}, bad: lost("the message"),
		},
	)
}

func (e *Env) userCommand() *cobra.Command {
	one := sheet{columns: "name role active totp created=created_at|time changed=changed_at|time link=setup_url", name: "name"}
	role := []field{{"role", "role", text, "viewer, operator or admin"}}

	return e.group("user", "The people who may sign in",
		verb{use: "list", aliases: []string{"ls"}, short: "List them", route: "users.list", sheet: sheet{
			list: "users", columns: "name role active totp created=created_at|time changed=changed_at|time", name: "name",
		}},
		verb{use: "add NAME", short: "Make a user; they set their password by the one-time link", route: "users.create", flags: role, sheet: one},
		verb{use: "set USER", short: "Give a user another role; it counts at once", route: "users.update", flags: role, sheet: one},
		verb{use: "invite USER", short: "Make a one-time link that sets the user's password anew", route: "users.invite", sheet: one},
		verb{use: "reset-totp USER", short: "Take the second factor of a user away, who has lost it", route: "users.reset-totp", sheet: one},
		verb{use: "rm USER…", short: "Remove users; their sessions end", route: "users.delete", done: "removed"},
	)
}

func (e *Env) auditCommand() *cobra.Command {
	return e.command(verb{use: "audit", short: "Read the audit trail, the newest entry first", route: "audit.list", sheet: sheet{
		list: "entries", columns: "time=time|time who from action object result text", name: "id",
	}})
}

func (e *Env) taskCommand() *cobra.Command {
	return e.group("task", "What the appliance is at work on: runs, backups, files that are sent",
		verb{use: "list", aliases: []string{"ls"}, short: "List the tasks, the newest first", route: "tasks.list", sheet: sheet{
			list: "tasks", columns: "id kind who since=since|time text", name: "id",
		}},
		verb{use: "stop TASK…", short: "Stop tasks; a run is cancelled", route: "tasks.stop", done: "stopped"},
	)
}

func (e *Env) retentionCommand() *cobra.Command {
	return e.command(verb{
		use: "retention", short: "Show which logs and files the next sweep removes; nothing is removed now", route: "retention.preview",
		long:  "A dry run of the sweep that the appliance makes every janitor.interval. Records of hosts and runs never go.",
		sheet: sheet{list: "items", columns: "what run name size=bytes|bytes due=due|time", name: "name"},
	})
}

func (e *Env) healthCommand() *cobra.Command {
	var ready bool

	cmd := e.remote(&cobra.Command{
		Use: "healthcheck", Short: "Say whether the appliance lives, for a container or a monitor; needs no token",
	}, func(s *session, _ []string) error {
		name := "healthz"
		if ready {
			name = "readyz"
		}

		var answer []byte
		if err := s.api.Call(s.cmd.Context(), client.Request{Route: name}, &answer); err != nil {
			return err
		}

		page := s.out.printer(s.env.Out, sheet{columns: "status", name: "status", more: []sheet{{list: "checks", columns: "name ok detail"}}})
		if err := page.show(answer); err != nil {
			return err
		}

		return page.close()
	})
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it can vet hosts, too")

	return cmd
}

func (e *Env) versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version of this program", Args: count(nil)}
	show := Lister(cmd, e.Out, "", "version commit", "version")

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("output") {
			_, err := fmt.Fprintln(e.Out, "vetting", e.Version)

			return err
		}

		number, commit, _ := strings.Cut(e.Version, " ")

		return show(map[string]string{"version": number, "commit": commit})
	}

	return cmd
}

// state is what status shows.
type state struct {
	Status  string              `json:"status"` // of /readyz
	Checks  []route.HealthCheck `json:"checks"`
	Hosts   int                 `json:"hosts"`
	Waiting int                 `json:"waiting"` // machines heard that nobody registered
	Runs    []route.RunSummary  `json:"runs"`    // that are not over
}

func (e *Env) statusCommand() *cobra.Command {
	return e.remote(&cobra.Command{
		Use: "status", Short: "Show whether the appliance is well and what it is at",
	}, (*session).status)
}
