// The first hour of GORM.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

type Author struct {
	gorm.Model
	Name  string         `gorm:"size:50;not null;index"`
	Email *string        `gorm:"uniqueIndex"`
	Mood  string         `gorm:"type:mood;default:glad"`
	Meta  map[string]any `gorm:"serializer:json;type:jsonb"`
	Books []Book         `gorm:"constraint:OnDelete:CASCADE"`
	Tags  []Tag          `gorm:"many2many:author_tags"`
}

type Tag struct {
	ID   uint
	Name string `gorm:"unique"`
}

type Book struct {
	ID       uint
	Title    string  `gorm:"not null;uniqueIndex:one_title,priority:2"`
	AuthorID uint    `gorm:"uniqueIndex:one_title,priority:1"`
	Price    float64 `gorm:"type:numeric(10,2);default:0;check:price_positive,price >= 0"`
	Out      sql.NullTime
}

// AuthorV2 is the table of Author after a migration.
type AuthorV2 struct {
	ID      uint
	Name    string `gorm:"size:80;not null;index"`
	Age     *int   `gorm:"index"`
	Active  bool   `gorm:"not null;default:true"`
	Handle  string `gorm:"unique"`
	AgentID *uint
	Agent   *Tag
}

func (AuthorV2) TableName() string { return "authors" }

// last is a logger that remembers the last statement that failed.
type last struct{ statement string }

func (l *last) LogMode(logger.LogLevel) logger.Interface      { return l }
func (l *last) Info(context.Context, string, ...interface{})  {}
func (l *last) Warn(context.Context, string, ...interface{})  {}
func (l *last) Error(context.Context, string, ...interface{}) {}
func (l *last) Trace(_ context.Context, _ time.Time, text func() (string, int64), err error) {
	if err != nil {
		l.statement, _ = text()
	}
}

func main() {
	seen := &last{}
	db, err := gorm.Open(postgres.Open(""), &gorm.Config{Logger: seen}) // the environment says where
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	try := func(name string, run func() error, needs ...string) {
		step(name, run, func() string { return seen.statement }, needs...)
	}
	const made = "create tables"
	try("enum", func() error { return db.Exec("CREATE TYPE mood AS ENUM ('glad', 'sad')").Error })
	try(made, func() error { return db.AutoMigrate(&Author{}, &Tag{}, &Book{}) }, "enum")
	try("the same again", func() error { return db.AutoMigrate(&Author{}, &Tag{}, &Book{}) }, made)
	try("crud", func() error { return crud(db) }, made)
	try("upsert", func() error { return upsert(db) }, made)
	try("savepoint", func() error { return nested(db) }, made)
	try("introspection", func() error { return introspect(db) }, made)
	m := db.Migrator()
	try("add columns", func() error {
		return errors.Join(m.AddColumn(&AuthorV2{}, "Age"), m.AddColumn(&AuthorV2{}, "Active"))
	}, made)
	try("add unique column", func() error { return m.AddColumn(&AuthorV2{}, "Handle") }, made)
	try("add index", func() error { return m.CreateIndex(&AuthorV2{}, "Age") }, made, "add columns")
	try("add foreign key", func() error {
		return errors.Join(m.AddColumn(&AuthorV2{}, "AgentID"), m.CreateConstraint(&AuthorV2{}, "Agent"))
	}, made)
	try("widen column", func() error { return m.AlterColumn(&AuthorV2{}, "Name") }, made)
	try("migrate", func() error { return db.AutoMigrate(&AuthorV2{}) }, made)
	try("rename", func() error {
		return errors.Join(m.RenameColumn(&AuthorV2{}, "age", "years"), m.RenameTable("tags", "labels"))
	}, made, "add columns")
	try("drop column", func() error { return m.DropColumn(&AuthorV2{}, "active") }, made, "add columns")
	try("drop index", func() error { return m.DropIndex(&Book{}, "one_title") }, made)
	try("drop constraint", func() error { return m.DropConstraint(&Book{}, "price_positive") }, made)
	try("drop tables", func() error { return m.DropTable("author_tags", &Book{}, &Author{}, "labels") }, made)
	end()
}

func want(got, wanted any) error {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		return fmt.Errorf("%v, not %v", got, wanted)
	}
	return nil
}

func crud(db *gorm.DB) error {
	mail := "ada@example.test"
	ada := Author{Name: "Ada", Email: &mail, Meta: map[string]any{"tags": []string{"x"}}, Tags: []Tag{{Name: "new"}},
		Books: []Book{{Title: "One", Price: 1}, {Title: "Two", Price: 2}, {Title: "Three", Price: 3}}}
	if err := db.Create(&ada).Error; err != nil {
		return err
	}
	if err := db.Model(&ada).Updates(map[string]any{"name": "Ada L.", "mood": "sad"}).Error; err != nil {
		return err
	}
	if err := db.Where("price < ?", 2).Delete(&Book{}).Error; err != nil {
		return err
	}
	var back Author
	if err := db.Preload("Books").Preload("Tags").Where("meta -> 'tags' ->> 0 = ?", "x").First(&back).Error; err != nil {
		return err
	}
	var n int64
	if err := db.Model(&Author{}).Joins("JOIN books ON books.author_id = authors.id").Count(&n).Error; err != nil {
		return err
	}
	return want([]any{back.Name, back.Mood, len(back.Books), len(back.Tags), n}, []any{"Ada L.", "sad", 2, 1, 2})
}

func upsert(db *gorm.DB) error {
	for range 2 {
		tag := Tag{Name: "again"}
		do := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
		if err := db.Clauses(do).Create(&tag).Error; err != nil {
			return err
		}
	}
	return db.FirstOrCreate(&Tag{}, Tag{Name: "again"}).Error
}

func nested(db *gorm.DB) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&Tag{Name: "outer"}).Error; err != nil {
			return err
		}
		inner := tx.Transaction(func(tx *gorm.DB) error { return tx.Create(&Tag{Name: "outer"}).Error })
		var found Tag
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&found, "name = ?", "outer").Error
		return errors.Join(err, want(inner != nil, true))
	})
}

func introspect(db *gorm.DB) error {
	m := db.Migrator()
	columns, err := m.ColumnTypes(&Author{})
	if err != nil {
		return err
	}
	indexes, err := m.GetIndexes(&Book{})
	if err != nil {
		return err
	}
	tables, err := m.GetTables()
	return errors.Join(err, want([]any{len(columns), len(indexes), len(tables)}, []any{8, 1, 4}),
		want(m.HasConstraint(&Book{}, "price_positive"), true))
}
