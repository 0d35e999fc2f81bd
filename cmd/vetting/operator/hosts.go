package operator

import (
	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

const hostColumns = "mac name rack class power=power.method verdict=last_verdict run=current_run quarantine"

func hostSheet() sheet {
	return sheet{
		columns: "mac name aliases asset_tag rack class tags notes loader home boot_url power=power.method then=power.then bmc=power.bmc.address bmc_user=power.bmc.user " +
			"webhook=power.webhook.url smbios_uuid=identity.smbios_uuid board_serial=identity.board_serial quarantine current_run last_run last_verdict " +
			"created=created_at|time updated=updated_at|time deleted=deleted_at|time spec=spec_yaml|lines",
		name: "mac",
	}
}

func hostList() sheet { return sheet{list: "hosts", columns: hostColumns, name: "mac"} }

// describing are the flags that say what is known of a host.
func describing() []field {
	return []field{
		{"alias", "aliases", list, "MAC of another of its NICs"},
		{"asset-tag", "asset_tag", text, "what its label says"},
		{"rack", "rack", text, "where it stands, such as B07/U12"},
		{"class", "class", text, "model class, whose spec and rules it shares"},
		{"tag", "tags", list, "tag, such as dc1"},
		{"notes", "notes", text, "what people should know"},
		{"loader", "loader", text, "its boot program: snponly, ipxe, uki or shim; empty: what is found to work"},
		{"home", "home", text, "how it is sent to its own disk: missing, exit or disk; empty: what is found to work"},
		{"boot-url", "boot_url", text, "where its iPXE is sent once it has passed and no run waits for it; disk: its own; empty: as the profile says, else its own disk"},
		{"power", "power.method", text, "how it is brought to boot: manual, wol, agent, ipmi, redfish or webhook"},
		{"power-then", "power.then", list, "methods that are tried after the first"},
		{"bmc", "power.bmc.address", text, "address of its management controller"},
		{"bmc-user", "power.bmc.user", text, "user there; the password: vetting host secrets"},
		{"bmc-system", "power.bmc.system", text, "which ComputerSystem, where a Redfish service has several"},
		{"bmc-pin", "power.bmc.pin", text, "SHA-256 of the controller's certificate, the only one trusted then"},
		{"bmc-insecure", "power.bmc.insecure", yes, "trust any certificate of the controller"},
		{"webhook", "power.webhook.url", text, "service that switches it"},
		{"set", "overrides.config", pairs, "setting of a stage for this host, such as SMART.self_test=none"},
	}
}

func naming(rest ...field) []field {
	return append([]field{{"name", "name", text, "its name"}}, rest...)
}

func (e *Env) hostCommand() *cobra.Command {
	spec := field{"spec", "spec_yaml", whole, "file with the expected spec, - for standard input"}
	verbs := []verb{
		{use: "list", aliases: []string{"ls"}, short: "List hosts", route: "hosts.list", sheet: hostList()},
		{use: "show HOST…", short: "Show hosts", route: "hosts.get", sheet: hostSheet()},
		{
			use: "add MAC [NAME]", short: "Register a host", route: "hosts.create", flags: naming(append(describing(), spec)...), sheet: hostSheet(),
			example: "  vetting host add 52:54:00:12:34:56 rack3-u17 --power ipmi --bmc 10.0.0.9 --bmc-user root",
		},
		{
			use: "edit HOST", aliases: []string{"set"}, short: "Change what is given of a host", route: "hosts.update", merge: "power",
			flags: naming(describing()...), sheet: hostSheet(),
		},
		{use: "rm HOST…", short: "Delete hosts; for a while they can be brought back", route: "hosts.delete", done: "deleted; bring it back with: vetting host restore"},
		{use: "trash", short: "List deleted hosts that can be brought back", route: "hosts.trash", sheet: sheet{
			list: "hosts", columns: "mac name deleted=deleted_at|time by=deleted_by", name: "mac",
		}},
		{use: "restore DELETED…", short: "Bring deleted hosts back as they were", route: "hosts.undelete", sheet: hostSheet()},
		{use: "import [FILE]", short: "Register or change hosts from CSV (of a file or standard input), all of them or none", route: "hosts.import", sheet: sheet{
			list: "rows", columns: "line mac name did error=error.message", name: "mac",
		}},
		{use: "adopt SEEN NAME", short: "Register a machine that was heard on the test network", route: "discovered.adopt", flags: describing(), sheet: hostSheet()},
		{use: "trust HOST", short: "Trust a quarantined host again; its next claim records its identity anew", route: "hosts.clear-quarantine", sheet: hostSheet()},
		{use: "waivers HOST", short: "List the findings of a host that somebody bears with, and those that count no more", route: "waivers.list", sheet: waiverSheet("waivers")},
		{use: "withdraw-waiver HOST WAIVER", short: "End a waiver before its day", route: "waivers.withdraw", done: "withdrawn"},
		{
			use: "note HOST TEXT", short: "Write a note about a host, or about one of its runs", route: "notes.create", sheet: noteSheet(""),
			flags: []field{{"run", "run", text, "id of the run that it is about"}}, example: "  vetting host note rack3-u17 'the left fan rattles'",
		},
		{use: "notes HOST", short: "List what people wrote about a host and its runs", route: "notes.list", sheet: noteSheet("notes")},
		{use: "add-photo HOST NOTE FILE", short: "Add a photo (JPEG, PNG or WebP) to a note of yours; where it was taken is not kept", route: "notes.add-photo", sheet: noteSheet("")},
		{use: "rm-note HOST NOTE", short: "Remove a note of yours with its photos", route: "notes.delete", done: "removed"},
		controllerVerb(),
		{use: "trace MACHINE", short: "Show what was seen of a machine's last boot", route: "boot-trace.get", sheet: sheet{
			columns: "mac loader worked home came_home cause=diagnosis.title evidence=diagnosis.evidence next=diagnosis.next", name: "mac", more: []sheet{{list: "steps", columns: "time=time|time what=kind detail from=addr bytes=bytes|bytes power=way code"}},
		}},
		locateVerb(),
		compareVerb(),
		{use: "secrets HOST", short: "Set the passwords of a host's power methods; one that is not given is forgotten", route: "hosts.secrets", sheet: hostSheet(), flags: []field{
			{"bmc-password", "bmc_password", secret, "file whose first line is the controller's password, - for standard input"},
			{"webhook-secret", "webhook_secret", secret, "file whose first line signs the calls of the webhook"},
		}},
		{use: "online", short: "Show which installed hosts are heard", route: "presence.list", sheet: sheet{
			list: "hosts", columns: "host online since=since|time seen=last_seen|time agent=agent_version up=uptime_s|seconds refusal", name: "host",
		}},
		{use: "install-lines", short: "Print the lines that install the agent on a running host and register it", route: "quick-lines.list", sheet: sheet{
			list: "lines", columns: "for line", name: "line",
		}},
	}

	host := e.group("host", "Register hosts, describe them, switch them", verbs...)
	host.AddCommand(e.exportCommand(), e.photoCommand(), e.tagCommand(), e.specCommand(), e.powerCommand(), e.keyCommand(), e.consoleCommand())

	return host
}

// controllerVerb looks at what the management controller knows.
func controllerVerb() verb {
	return verb{use: "controller HOST", aliases: []string{"sel", "sensors"}, short: "Ask the management controller for its sensors and the end of its event log", route: "hosts.controller", sheet: sheet{
		columns: "protocol power locate firmware sensors_missing events_missing", name: "protocol",
		more: []sheet{
			{list: "events", columns: "at=at|time severity sensor text cleared"},
			{list: "sensors", columns: "name value unit text low_critical low_warning high_warning high_critical"},
		},
	}}
}

// compareVerb sets the hosts of one model side by side.
func compareVerb() verb {
	return verb{
		use: "compare", short: "Set the hosts of one model side by side by what their last runs measured, those first that stand out", route: "models.compare",
		long: "A figure is the median of what the last run that came to a verdict measured under load, of several parts that of the slowest or the\n" +
			"hottest. What stands out among five hosts or more is no verdict: hosts of one model may differ in their parts. -o json has\n" +
			"the medians, units and distances, and the models that there are.",
		example: "  vetting host compare --model 'PowerEdge R740'",
		sheet: sheet{
			list: "hosts", name: "name",
			columns: "name stands_out cpu_rate=figures.cpu_rate.value|figure cpu_clock=figures.cpu_clock.value|figure cpu_temp=figures.cpu_temperature.value|figure " +
				"memory=figures.memory_bandwidth.value|figure disk_read=figures.disk_read.value|figure disk_write=figures.disk_write.value|figure " +
				"disk_temp=figures.disk_temperature.value|figure sent=figures.network_sent.value|figure received=figures.network_received.value|figure ended=ended_at|time mac",
		},
	}
}

// locateVerb has a machine, or a part of one, found by its light.
func locateVerb() verb {
	return verb{
		use: "locate HOST…", short: "Have a disk or a network port of a held host found by its light; without a flag the machine itself, by its controller",
		route: "hosts.locate", sheet: sheet{columns: "kind name until=until|time off", name: "name"},
		flags: []field{
			{"disk", "disk", text, "serial of the disk whose slot is to blink"},
			{"nic", "nic", text, "name of the network port that is to blink, as eth0"},
			{"seconds", "seconds", number, "how long; 0: 60, at most 600"},
			{"off", "off", yes, "switch the light off"},
		},
		example: "  vetting host locate rack3-u17 --disk ZC1A2B3C --seconds 300",
	}
}

func noteSheet(at string) sheet {
	return sheet{list: at, columns: "id at=at|time by run text photos=photos.sha256", name: "id"}
}

// photoCommand downloads a photo of a note.
func (e *Env) photoCommand() *cobra.Command {
	var to string

	cmd := e.remote(&cobra.Command{
		Use: "photo HOST NOTE SHA256", Short: "Download a photo of a note, see: vetting host notes",
	}, func(s *session, args []string) error {
		host, err := s.resolve(s.cmd.Context(), "HOST", args[0])
		if err != nil {
			return err
		}

		return s.save(client.Request{Route: "notes.photo", Params: []string{host, args[1], args[2]}}, to)
	})
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")

	return cmd
}

func (e *Env) powerCommand() *cobra.Command {
	var verbs []verb

	for _, op := range []struct{ name, short string }{
		{"on", "Switch hosts on"},
		{"off", "Switch hosts off"},
		{"cycle", "Switch hosts off and on again"},
		{"boot", "Boot hosts from the network, once"},
		{"status", "Ask whether hosts are on"},
		{"locate", "Switch the light on by which hosts are found"},
		{"locate-off", "Switch that light off"},
	} {
		verbs = append(verbs, verb{
			use: op.name + " HOST…", short: op.short, route: "hosts.power", fixed: map[string]any{"op": op.name},
			sheet: sheet{columns: "did=op state", name: "state"},
		})
	}

	return e.group("power", "Switch hosts by the first of their power methods that can; refused while a stage works on them", verbs...)
}

func (e *Env) keyCommand() *cobra.Command {
	one := sheet{columns: "id host state fingerprint", name: "id"}

	return e.group("key", "Let installed hosts be told to reboot",
		verb{use: "list", short: "List the keys that installed hosts registered, those that wait for approval first", route: "host-keys.list", sheet: sheet{
			list: "keys", columns: one.columns, name: "id",
		}},
		verb{use: "approve KEY", short: "Approve a key; compare the fingerprint first. The one before is revoked", route: "host-keys.approve", sheet: one},
		verb{use: "revoke KEY…", short: "Make keys worthless", route: "host-keys.revoke", sheet: one},
	)
}

func (e *Env) classCommand() *cobra.Command {
	one := sheet{columns: "name golden notes updated=updated_at|time by=updated_by spec=spec_yaml|lines", name: "name"}

	return e.group("class", "What hosts of one model share",
		verb{use: "list", aliases: []string{"ls"}, short: "List model classes", route: "classes.list", sheet: sheet{
			list: "classes", columns: "name golden notes updated=updated_at|time", name: "name",
		}},
		verb{use: "show CLASS", short: "Show what hosts of a model share", route: "classes.get", sheet: one},
		verb{use: "put CLASS", short: "Set what hosts of a model share, in place of what was there", route: "classes.put", sheet: one, flags: []field{
			{"spec", "spec_yaml", whole, "file with the expected spec, - for standard input"},
			{"golden", "golden", text, "MAC of the host that others are compared with while few have passed"},
			{"notes", "notes", text, "what people should know"},
			{"set", "overrides.config", pairs, "setting of a stage for hosts of the class, such as SMART.self_test=none"},
		}},
		verb{use: "rm CLASS…", short: "Forget model classes that no host names", route: "classes.delete", done: "forgotten"},
	)
}

func (e *Env) inboxCommand() *cobra.Command {
	return e.group("inbox", "Machines that were heard on the test network and are not registered",
		verb{use: "list", aliases: []string{"ls"}, short: "List them", route: "discovered.list", sheet: sheet{
			list: "discovered", columns: "mac maker vendor arch uuid first=first_seen|time last=last_seen|time heard=count ignored=ignored_at|time by=ignored_by", name: "mac",
		}},
		verb{use: "adopt SEEN NAME", short: "Register one as a host", route: "discovered.adopt", flags: describing(), sheet: hostSheet()},
		verb{use: "ignore SEEN…", short: "See no more of machines, for good or until they are adopted or taken back; list them with: vetting inbox list --ignored", route: "discovered.ignore", sheet: ignoredSheet()},
		verb{use: "heed IGNORED…", short: "Take machines that are ignored back into the inbox", route: "discovered.heed", sheet: ignoredSheet()},
	)
}

func ignoredSheet() sheet {
	return sheet{columns: "mac vendor arch last=last_seen|time ignored=ignored_at|time by=ignored_by", name: "mac"}
}
