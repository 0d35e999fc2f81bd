package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vetting/docs"
	"vetting/ui"
)

// manualPages is the documentation as the console shows it.
func manualPages() ([]ui.ManualPage, error) {
	pages, err := docs.Pages()
	if err != nil {
		return nil, err
	}

	all := make([]ui.ManualPage, 0, len(pages))
	for i := range pages {
		all = append(all, ui.ManualPage{Topic: pages[i].Topic, Title: pages[i].Title, Text: pages[i].Text, HTML: pages[i].HTML})
	}

	return all, nil
}

func (c *cli) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docs [TOPIC]", Short: "Print a page of the documentation; without a topic, list the pages", Args: oneArg,
		Example: "  vetting docs\n  vetting docs operations",
		RunE: func(_ *cobra.Command, args []string) error {
			pages, err := docs.Pages()
			if err != nil {
				return err
			}

			if len(args) == 0 {
				return c.listPages(pages)
			}

			topics := make([]string, 0, len(pages))

			for _, p := range pages {
				if p.Topic == strings.TrimSuffix(args[0], ".md") {
					_, err := fmt.Fprint(c.out, p.Text)

					return err
				}

				topics = append(topics, p.Topic)
			}

			return &usageError{fmt.Errorf("there is no page %q; there are %s", args[0], strings.Join(topics, ", "))}
		},
	}
}

func (c *cli) listPages(pages []docs.Page) error {
	table := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, p := range pages {
		if _, err := fmt.Fprintf(table, "%s\t%s\n", p.Topic, p.Title); err != nil {
			return err
		}
	}

	return table.Flush()
}
