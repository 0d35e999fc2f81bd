package operator

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

func (e *Env) showProfileCommand() *cobra.Command {
	return e.remote(&cobra.Command{Use: "show PROFILE", Short: "Show a profile with its settings and rules"}, (*session).showProfile)
}

// showProfile picks one of the list: the API has no call for one.
func (s *session) showProfile(args []string) error {
	var all struct {
		Profiles []json.RawMessage `json:"profiles"`
	}

	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "profiles.list"}, &all); err != nil {
		return err
	}

	for _, text := range all.Profiles {
		rows, err := rowsOf(text, "")
		if err != nil {
			return err
		}

		if plain(at(rows[0], "name")) != args[0] {
			continue
		}

		page := s.out.printer(s.env.Out, sheet{
			columns: "name scale stages description settings=config|pairs", name: "name",
			more: []sheet{{list: "rules", columns: "id stage key op value of severity for=for_s|seconds count required code"}},
		})
		if err := page.show(text); err != nil {
			return err
		}

		return page.close()
	}

	return fmt.Errorf("there is no profile %q; list them with: vetting profile list", args[0])
}
