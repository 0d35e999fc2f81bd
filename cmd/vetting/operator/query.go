package operator

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"vetting/core/route"
)

// asks are the flags of a command that become parameters of the query, by the name
// of the parameter.
type asks struct {
	fixed map[string]string
	flags map[string]string // flag by parameter
}

// queryFlags declares a flag for each parameter of the route's query.
func queryFlags(cmd *cobra.Command, v *verb, found *route.Route) asks {
	a := asks{fixed: v.query, flags: map[string]string{}}

	for _, p := range found.Query {
		name := strings.ReplaceAll(p.Name, "_", "-")

		switch {
		case p.Name == "page_token" || v.query[p.Name] != "":
		case p.Name == "limit":
			cmd.Flags().Int(name, 0, "at most so many; 0: all")
		case p.Kind == "boolean":
			cmd.Flags().Bool(name, false, p.Summary)

			a.flags[p.Name] = name
		default:
			cmd.Flags().String(name, "", p.Summary)

			a.flags[p.Name] = name
		}
	}

	return a
}

// values reads the flags. A host may be named in any way.
func (a asks) values(s *session) (url.Values, error) {
	query := url.Values{}

	for name, value := range a.fixed {
		query.Set(name, value)
	}

	for name, flag := range a.flags {
		given := s.cmd.Flags().Lookup(flag)
		if !given.Changed {
			continue
		}

		value, err := s.resolve(s.cmd.Context(), strings.ToUpper(name), given.Value.String())
		if err != nil {
			return nil, err
		}

		query.Set(name, value)
	}

	if limit := s.limit(); limit < 0 {
		return nil, usage("--limit %d: 1 or more, or 0 for all", limit)
	}

	return query, nil
}
