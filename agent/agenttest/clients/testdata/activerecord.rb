# The first hour of ActiveRecord.
require "active_record"

$failed = []
$last = ""
ActiveSupport::Notifications.subscribe("sql.active_record") { |*, payload| $last = payload[:sql] if payload[:exception] }

def step(name, *needs)
  if needs.any? { |n| $failed.include?(n) }
    $failed << name
    return puts("not tried\t#{name}")
  end
  yield
  puts "ok\t#{name}"
rescue StandardError => e
  $failed << name
  cause = e
  cause = cause.cause while cause.cause
  code = cause.respond_to?(:result) && cause.result ? cause.result.error_field(PG::Result::PG_DIAG_SQLSTATE) : "None"
  puts ["fail", name, code, cause.message.split.join(" "), (code == "None" ? "" : $last).split.join(" ")].join("\t")
ensure
  $stdout.flush
end

def check(got, want)
  raise "#{got.inspect}, not #{want.inspect}" unless got == want
end

class Author < ActiveRecord::Base
  has_many :books, dependent: :destroy
end

class Book < ActiveRecord::Base
  belongs_to :author
end

Migration = ActiveRecord::Migration[6.1]

class First < Migration
  def change
    create_table :authors do |t|
      t.string :name, limit: 50, null: false
      t.string :email, index: { unique: true }
      t.jsonb :meta, default: {}
      t.string :tags, array: true
      t.boolean :active, null: false, default: true
      t.timestamps
    end
    create_table :books do |t|
      t.references :author, null: false, foreign_key: { on_delete: :cascade }
      t.string :title, null: false
      t.decimal :price, precision: 10, scale: 2, default: 0
      t.date :out
      t.check_constraint "price >= 0", name: "price_positive"
      t.index [:author_id, :title], unique: true
    end
  end
end

class Columns < Migration
  def change
    add_column :authors, :age, :integer
    add_column :authors, :score, :float, null: false, default: 0
    rename_column :authors, :age, :years
  end
end

class Widen < Migration
  def up = change_column(:authors, :name, :string, limit: 80)
  def down = nil
end

class NotNull < Migration
  def change = change_column_null(:authors, :email, false, "none")
end

class Indexed < Migration
  def change = add_index(:authors, :created_at)
end

class WithoutBlock < Migration
  disable_ddl_transaction!
  def change = add_index(:authors, :updated_at, algorithm: :concurrently)
end

class Reference < Migration
  def change
    create_table(:publishers) { |t| t.string :name }
    add_reference :books, :publisher, foreign_key: true
  end
end

class Renamed < Migration
  def change = rename_table(:books, :volumes)
end

ActiveRecord::Migration.verbose = false
STEPS = [First, Columns, Widen, NotNull, Indexed, WithoutBlock, Reference, Renamed].freeze

def migrate(kind, direction)
  pool = ActiveRecord::Base.connection
  version = STEPS.index(kind) + 1
  migrations = STEPS.each_with_index.map { |k, i| ActiveRecord::MigrationProxy.new(k.name, i + 1, __FILE__, "").tap { |p| p.define_singleton_method(:migration) { @m ||= k.new(k.name, i + 1) } } }
  ActiveRecord::Migrator.new(direction, migrations, ActiveRecord::SchemaMigration, version).run
  pool.schema_cache.clear!
  [Author, Book].each(&:reset_column_information)
end

step("connect") do
  ActiveRecord::Base.establish_connection(adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: ENV["PGUSER"],
                                          password: ENV["PGPASSWORD"], database: ENV["PGDATABASE"])
  ActiveRecord::Base.connection
end
step("create tables", "connect") { ActiveRecord::SchemaMigration.create_table; ActiveRecord::InternalMetadata.create_table; migrate(First, :up) }
step("crud", "create tables") do
  ada = Author.create!(name: "Ada", email: "ada@example.test", meta: { a: 1 }, tags: %w[x y])
  3.times { |n| ada.books.create!(title: "Book #{n}", price: n) }
  ada.update!(name: "Ada L.")
  Book.where("price < ?", 1).delete_all
  check(Author.joins(:books).where("meta ->> 'a' = '1'").group(:name).count, { "Ada L." => 2 })
  check(Author.includes(:books).find_by(email: "ada@example.test").books.size, 2)
  check(Author.where(email: "nobody").exists?, false)
end
step("upsert", "create tables") do
  now = Time.now
  2.times { |n| Author.upsert({ name: "Bob #{n}", email: "bob@example.test", created_at: now, updated_at: now }, unique_by: :email) }
  check(Author.find_by(email: "bob@example.test").name, "Bob 1")
end
step("savepoint", "create tables") do
  Author.transaction do
    Author.create!(name: "Cy", email: "cy@example.test")
    begin
      Author.transaction(requires_new: true) { Author.create!(name: "Twin", email: "cy@example.test") }
    rescue ActiveRecord::RecordNotUnique
      nil
    end
    check(Author.lock.where(name: "Cy").to_a.size, 1)
  end
end
step("batches", "create tables") { check(Author.find_each(batch_size: 1).to_a.size, Author.count) }
step("advisory lock", "connect") { ActiveRecord::Base.connection.get_advisory_lock(1); ActiveRecord::Base.connection.release_advisory_lock(1) }
step("introspection", "create tables") do
  c = ActiveRecord::Base.connection
  check(c.primary_key("books"), "id")
  check(c.indexes("books").map(&:columns).sort, [["author_id"], %w[author_id title]])
  check(c.foreign_keys("books").map(&:on_delete), [:cascade])
  check(c.check_constraints("books").map(&:name), ["price_positive"])
  check(c.columns("authors").find { |x| x.name == "name" }.limit, 50)
end
step("schema dump", "create tables") do
  out = StringIO.new
  ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, out)
  raise out.string unless out.string.include?('add_foreign_key "books", "authors", on_delete: :cascade') && !out.string.include?("Could not dump")
end
{ "add columns" => Columns, "widen column" => Widen, "set NOT NULL" => NotNull, "add index" => Indexed, "add index concurrently" => WithoutBlock,
  "add reference" => Reference, "rename table" => Renamed }.each { |name, kind| step(name, "create tables") { migrate(kind, :up) } }
{ "rename table" => Renamed, "add reference" => Reference, "add index concurrently" => WithoutBlock, "add index" => Indexed,
  "add columns" => Columns, "create tables" => First }.each { |name, kind| step("#{name}: down", name) { migrate(kind, :down) } }
puts "end"
exit($failed.empty? ? 0 : 1)
