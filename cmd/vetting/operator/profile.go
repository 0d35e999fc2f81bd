package operator

import "github.com/spf13/cobra"

func (e *Env) profileCommand() *cobra.Command {
	detail := sheet{
		columns: "name origin at extends version set=set_at|time by=set_by unfit scale stages description settings=config|pairs", name: "name",
		more: []sheet{{list: "rules", columns: "id stage key op value of severity for=for_s|seconds count required code"}},
	}

	return e.groupOf("profile", "The profiles a run can be started with", e.Profile,
		verb{use: "list", aliases: []string{"ls"}, short: "List profiles with where they come from", route: "profiles.list", sheet: sheet{
			list: "profiles", columns: "name origin at version scale stages description unfit", name: "name",
		}},
		verb{use: "show PROFILE", short: "Show a profile with its settings and rules", route: "profiles.get", sheet: detail},
		verb{
			use: "put PROFILE [FILE]", aliases: []string{"set"}, short: "Save a profile in the appliance, from a file or standard input", route: "profiles.set", sheet: detail,
			long: "The text is YAML, the same as below profiles.NAME of the configuration file. It counts for runs that are started from now on.\n" +
				"Profiles that are shipped and those of the configuration file cannot be changed so; extend one of them.",
			example: "  printf 'extends: quick\\nconfig: {SMART.self_test: extended}\\n' | vetting profile put receiving",
		},
		verb{use: "try PROFILE [FILE]", short: "Have the appliance say what a text would come to as a profile, without saving it", route: "profiles.check", sheet: detail},
		verb{use: "rm PROFILE…", short: "Remove profiles that were made in the console or with put", route: "profiles.delete", done: "removed"},
		verb{
			use: "estimate PROFILE", short: "Say how long a profile takes, on each model that was vetted or on one host", route: "profiles.estimate",
			long:  "It is learned from the stages of earlier runs that had the same settings; it is told as a range, of which eight in ten stay inside.",
			sheet: sheet{list: "models", name: "model", columns: "model disk=disk_bytes|bytes known low=low_s|seconds mid=mid_s|seconds high=high_s|seconds runs"},
		},
	)
}
