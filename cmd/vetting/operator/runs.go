package operator

import "github.com/spf13/cobra"

const runColumns = "id host=host_name profile state verdict=verdict_words stage progress=progress|percent created=created_at|time"

func runList() sheet { return sheet{list: "runs", columns: runColumns, name: "id"} }

func stageSheet() sheet {
	return sheet{list: "stages", columns: "stage=name phase verdict attempt progress=progress|percent doing=sub_step left=eta_s|seconds skipped_because=skip_reason coverage", name: "name"}
}

func findingSheet(at string) sheet {
	return sheet{list: at, columns: "severity code stage title part=part.slot serial=part.serial evidence next id", name: "code"}
}

func waiverSheet(at string) sheet {
	return sheet{list: at, columns: "id code stage title part=part.slot serial=part.serial by until=until|time holds reason", name: "id"}
}

func runSheet() sheet {
	return sheet{
		columns: "id host name=host_name profile scale state verdict=verdict_words stage progress=progress|percent operator armed=armed_disks boots agent=agent.version " +
			"created=created_at|time started=started_at|time ended=ended_at|time deadline=deadline|time last_beat=last_beat|time held_at=hold.addr",
		name: "id",
		more: []sheet{stageSheet(), findingSheet("findings"), findingSheet("stages.findings")},
	}
}

// releaseVerb stands below "run hold", and where it was before.
func releaseVerb(hidden bool) verb {
	return verb{use: "release RUN…", short: "End the hold of failed hosts", hidden: hidden, route: "runs.release", sheet: runSheet()}
}

// failVerb stands below "run", and below "run hold" beside release.
func failVerb() verb {
	return verb{
		use: "fail RUN", route: "runs.fail", sheet: runSheet(),
		short:   "End the hold of a failed host and give it up: the verdict is fail, and the report says who and why",
		example: "  vetting run fail rack3-u17 --reason 'smells of burnt plastic, goes to recycling'",
		flags:   []field{{"reason", "reason", text, "why the host is given up; it stands on the report"}},
	}
}

func (e *Env) runCommand() *cobra.Command {
	again := runSheet()
	run := e.group("run", "Vet hosts, and look at it", []verb{
		{use: "list", aliases: []string{"ls"}, short: "List runs, the newest first", route: "runs.list", sheet: runList()},
		{use: "show RUN…", short: "Show runs with their stages", route: "runs.get", sheet: runSheet()},
		{use: "cancel RUN…", short: "Cancel runs that are not over", route: "runs.cancel", sheet: again},
		releaseVerb(true),
		failVerb(),
		{use: "withdraw RUN…", short: "Take starts back that were given a grace, before it is over; the hosts are as they were", route: "runs.withdraw", sheet: again},
		{use: "retry RUN [STAGE]", short: "Leave the hold and run the failed stage again, or one before it", route: "runs.retry", sheet: again},
		{
			use: "override-wipe RUN", aliases: []string{"override"}, route: "runs.override-wipe", sheet: again,
			short:   "Run Storage again and let it overwrite foreign data on the named armed disks, once and within 15 minutes",
			example: "  vetting run override-wipe rack3-u17 --disk S3Z9NX0M --reason 'ticket 4711: returned disk'",
			flags: []field{
				{"disk", "serials", list, "serial of an armed disk"},
				{"reason", "reason", text, "why the data may go; it stands on the report"},
			},
		},
		{
			use: "waive RUN FINDING", route: "runs.waive",
			short:   "Bear with one finding of a held run until a day; no verdict changes, and every report that has the finding says so",
			example: "  vetting run waive rack3-u17 smart/not-new --reason 'goes to the test bench' --until 30d",
			flags: []field{
				{"reason", "reason", text, "why it is borne with; it stands on the report"},
				{"until", "until", text, "a day (2026-12-31, to its end in UTC), a time, or how long from now (30d, 12h)"},
			},
			sheet: waiverSheet(""),
		},
		{use: "queue", short: "List the runs that wait for their turn, the next first", route: "queue.list", sheet: runList()},
		{
			use: "move RUN TO [BEFORE]", route: "runs.move",
			short:   "Give a run that waits another place in the queue: first, last, up, down, or before another run",
			example: "  vetting run move rack3-u17 first\n  vetting run move rack3-u17 before 01JD4X00000000000000000018",
			sheet:   sheet{columns: "order stood_before", name: "stood_before"},
		},
		{use: "stages RUN", short: "Show the stages of a run", route: "runs.stages", sheet: stageSheet()},
		{use: "diffs RUN", short: "Show where expected spec and machine differ", route: "runs.spec-diffs", sheet: sheet{
			list: "diffs", columns: "severity field=path expected actual not_reported slot=part.slot serial=part.serial", name: "path",
		}},
		{use: "firmware RUN", short: "Show the firmware the run found", route: "runs.firmware", sheet: sheet{
			list: "firmware", columns: "name version date kind=part.kind slot=part.slot model=part.model serial=part.serial", name: "name",
		}},
		{use: "rules RUN", short: "Show what the rules said of every series", route: "runs.evaluations", sheet: sheet{
			list: "evaluations", columns: "verdict severity stage key value limit rule", name: "rule",
		}},
		{use: "samples RUN", short: "Show measured values", route: "runs.samples", sheet: sheet{
			list: "samples", columns: "time=time|time stage key value unit", name: "key",
		}},
		{use: "files RUN", short: "List the files a run left", route: "runs.artifacts", sheet: sheet{
			list: "artifacts", columns: "name stage size=size|bytes sha256 time=time|time", name: "sha256",
		}},
	}...)
	run.AddCommand(e.groupOf("hold", "Look into a held host, and let it go", e.Hold, releaseVerb(false), failVerb()), e.compareCommand(), e.startCommand(), e.waitCommand(), e.watchCommand(), e.logsCommand(), e.fileCommand())

	return run
}
