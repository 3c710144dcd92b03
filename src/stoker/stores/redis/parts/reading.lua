-- uses: moves family
-- Records as people read them: id and columns one after the other. Behind the columns come the parents, and those that
-- it still waits for, with NULs between.
local PAGE = 20 -- records that are read at once: they may be large
local found, bytes = {}, 0
local page = {}

local function open_parents(id)
    if jobs[id][STATE] ~= WAITING then
        return false
    end
    family()
    return table.concat(others_of(OPENS, id), '\0')
end

local function read_page()
    local columns = {}
    for i, column in ipairs(COLUMNS) do
        columns[i] = fetch(column, page)
    end
    columns[#columns + 1] = fetch(PARENTS, page)
    for i, id in ipairs(page) do
        found[#found + 1] = id
        for _, values in ipairs(columns) do
            found[#found + 1] = values[i]
            bytes = bytes + (values[i] and #values[i] or 0)
        end
        found[#found + 1] = open_parents(id)
    end
    page = {}
end

-- Have the record of this job, which is in `jobs`, among the `found`, at the latest with the next `read_page`.
local function take(id)
    page[#page + 1] = id
    if #page == PAGE then
        read_page()
    end
end
