package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
)

func init() { sql.Register("lines", lines{}) }

// lines stands for the driver of a real database: its data source is a file, to
// which each INSERT adds a line.
type lines struct{}

// Open implements [driver.Driver].
func (lines) Open(name string) (driver.Conn, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &conn{f}, nil
}

type conn struct{ file *os.File }

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	for _, a := range args {
		if _, err := fmt.Fprintln(c.file, a.Value); err != nil {
			return nil, err
		}
	}
	return driver.ResultNoRows, nil
}

// Prepare implements [driver.Conn].
func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }

// Begin implements [driver.Conn].
func (c *conn) Begin() (driver.Tx, error) { return nil, errors.ErrUnsupported }

// Close implements [driver.Conn].
func (c *conn) Close() error { return c.file.Close() }
