package operator

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// writeFile writes a file whole or not at all. What is no file, such as /dev/null or a
// pipe, is written to as it is: another file must not take its place.
func writeFile(name string, content io.Reader) error {
	switch at, err := os.Stat(name); {
	case err != nil || at.Mode().IsRegular():
		return writeWhole(name, content)
	case at.IsDir():
		return usage("writing the file: %s is a folder; name a file in it", name)
	}

	file, err := os.OpenFile(name, os.O_WRONLY, 0) //nolint:gosec // the person names it
	if err != nil {
		return usage("writing the file: %w", err)
	}

	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}

	return nil
}

func writeWhole(name string, content io.Reader) error {
	temp := name + ".part"

	file, err := os.Create(temp)
	if err != nil {
		return usage("writing the file: %w", err)
	}

	_, err = io.Copy(file, content)

	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temp, name)
	}

	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temp))
	}

	return nil
}
